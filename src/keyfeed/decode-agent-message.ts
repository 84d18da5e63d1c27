import { assertNever } from '../util/index.ts';
import { AttributeReader } from './attribute-reader.ts';
import * as attribute from './attributes.ts';
import { kindOf } from './kind-of.ts';
import type { AgentMessage } from './messages.ts';
import { AGENT_MESSAGE } from './wire.ts';

const agentKind = kindOf(AGENT_MESSAGE, 'the agent');

/** Decodes one frame of an agent: the plugin's side of the protocol, for tests and tools. */
export function decodeAgentMessage(frame: Uint8Array, offset = 0): AgentMessage {
  const kind = agentKind(frame, offset);
  const from = new AttributeReader();
  from.open(frame, kind, offset);
  switch (kind) {
    case 'agent-hello':
      return {
        kind,
        version: from.required(attribute.VERSION),
        server: from.required(attribute.SERVER),
        wantsFailures: from.optional(attribute.WANTS_FAILURES),
      };
    case 'ready':
      return {
        kind,
        routeInterface: from.optional(attribute.ROUTE_INTERFACE),
        ackLatencyUs: from.required(attribute.ACK_LATENCY_US),
      };
    case 'not-ready':
      return { kind, reason: from.required(attribute.REASON) };
    case 'result':
      return {
        kind,
        seq: from.required(attribute.SEQ),
        code: from.required(attribute.CODE),
        reason: from.optional(attribute.REASON),
        spi: from.optional(attribute.SPI),
      };
    case 'expire':
      return {
        kind,
        protocol: from.required(attribute.SA_PROTOCOL),
        spi: from.required(attribute.SPI),
        destination: from.required(attribute.DST),
        hard: from.required(attribute.HARD),
      };
    case 'acquire':
      return {
        kind,
        reqid: from.required(attribute.REQID),
        source: from.required(attribute.SRC_TS),
        destination: from.required(attribute.DST_TS),
      };
    case 'mapping':
      return {
        kind,
        protocol: from.required(attribute.SA_PROTOCOL),
        spi: from.required(attribute.SPI),
        destination: from.required(attribute.DST),
        newSource: from.required(attribute.NEW_SRC),
      };
    case 'usage':
      return { kind, entries: from.repeated(attribute.USAGE_ENTRY) };
    case 'policy-usage':
      return { kind, entries: from.repeated(attribute.POLICY_USAGE_ENTRY) };
    default:
      return assertNever(kind, 'message of the agent');
  }
}
