import { assertNever } from '../util/index.ts';
import * as attribute from './attributes.ts';
import { FrameWriter } from './frame-writer.ts';
import type { AgentMessage } from './messages.ts';
import { AGENT_MESSAGE } from './wire.ts';

/** One message of the agent as a whole frame, its length first. */
export function encodeAgentMessage(message: AgentMessage): Uint8Array {
  const to = new FrameWriter(AGENT_MESSAGE[message.kind]);
  switch (message.kind) {
    case 'agent-hello':
      to.put(attribute.VERSION, message.version).put(attribute.SERVER, message.server);
      to.putOptional(attribute.WANTS_FAILURES, message.wantsFailures);
      break;
    case 'ready':
      to.putOptional(attribute.ROUTE_INTERFACE, message.routeInterface);
      to.put(attribute.ACK_LATENCY_US, message.ackLatencyUs);
      break;
    case 'not-ready':
      to.put(attribute.REASON, message.reason);
      break;
    case 'result':
      to.put(attribute.SEQ, message.seq).put(attribute.CODE, message.code);
      to.putOptional(attribute.REASON, message.reason).putOptional(attribute.SPI, message.spi);
      break;
    case 'expire':
      to.put(attribute.SA_PROTOCOL, message.protocol).put(attribute.SPI, message.spi);
      to.put(attribute.DST, message.destination).put(attribute.HARD, message.hard);
      break;
    case 'acquire':
      to.put(attribute.REQID, message.reqid);
      to.put(attribute.SRC_TS, message.source).put(attribute.DST_TS, message.destination);
      break;
    case 'mapping':
      to.put(attribute.SA_PROTOCOL, message.protocol).put(attribute.SPI, message.spi);
      to.put(attribute.DST, message.destination).put(attribute.NEW_SRC, message.newSource);
      break;
    case 'usage':
      to.putAll(attribute.USAGE_ENTRY, message.entries);
      break;
    case 'policy-usage':
      to.putAll(attribute.POLICY_USAGE_ENTRY, message.entries);
      break;
    default:
      return assertNever(message, 'message of the agent');
  }
  return to.finish();
}
