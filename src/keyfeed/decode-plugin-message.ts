import { AgentError, assertNever } from '../util/index.ts';
import { AttributeReader } from './attribute-reader.ts';
import * as attribute from './attributes.ts';
import { kindOf } from './kind-of.ts';
import type { FeedPolicy, FeedSa, FeedSaId, Hello, PluginMessage } from './messages.ts';
import { PLUGIN_MESSAGE, PROTOCOL_VERSION } from './wire.ts';

const pluginKind = kindOf(PLUGIN_MESSAGE, 'the plugin');

/**
 * Decodes one frame of the plugin. Keys are copied into SecretBytes, which the
 * caller owns; the frame stays the caller's to wipe. One reader may serve frame after frame.
 *
 * Throws MalformedError with the offset in the stream, or an AgentError of code
 * `unsupported` for a HELLO of another version.
 */
export function decodePluginMessage(
  frame: Uint8Array,
  offset = 0,
  from = new AttributeReader(),
): PluginMessage {
  const kind = pluginKind(frame, offset);
  from.open(frame, kind, offset);
  switch (kind) {
    case 'hello':
      return decodeHello(from);
    case 'snapshot-begin':
      return { kind, seq: from.required(attribute.SEQ) };
    case 'snapshot-end':
      return { kind, seq: from.required(attribute.SEQ), count: from.required(attribute.COUNT) };
    case 'error':
      return { kind, code: from.required(attribute.CODE), reason: from.required(attribute.REASON) };
    case 'get-spi':
      from.required(attribute.AWAITED);
      return {
        kind,
        seq: from.required(attribute.SEQ),
        protocol: from.required(attribute.SA_PROTOCOL),
        source: from.required(attribute.SRC),
        destination: from.required(attribute.DST),
      };
    case 'add-sa':
      return {
        kind,
        seq: from.required(attribute.SEQ),
        awaited: from.optional(attribute.AWAITED) ?? false,
        sa: decodeSa(from),
      };
    case 'update-sa':
      return {
        kind,
        seq: from.required(attribute.SEQ),
        awaited: from.optional(attribute.AWAITED) ?? false,
        id: decodeSaId(from),
        newSource: from.required(attribute.NEW_SRC),
        newDestination: from.required(attribute.NEW_DST),
        encap: from.required(attribute.ENCAP),
        newEncap: from.required(attribute.NEW_ENCAP),
        newReqid: from.optional(attribute.NEW_REQID),
      };
    case 'del-sa':
      return { kind, seq: from.required(attribute.SEQ), id: decodeSaId(from) };
    case 'add-policy':
      return {
        kind,
        seq: from.required(attribute.SEQ),
        awaited: from.optional(attribute.AWAITED) ?? false,
        policy: decodePolicy(from),
      };
    case 'del-policy':
      return { kind, seq: from.required(attribute.SEQ), policy: decodePolicy(from) };
    case 'flush-sas':
    case 'flush-policies':
      return { kind, seq: from.required(attribute.SEQ) };
    case 'probe':
      from.required(attribute.AWAITED);
      return { kind, seq: from.required(attribute.SEQ) };
    case 'setup-failed':
      return {
        kind,
        ike: from.required(attribute.IKE_NAME),
        child: from.required(attribute.CHILD_NAME),
        code: from.required(attribute.CODE),
        reason: from.required(attribute.REASON),
      };
    default:
      return assertNever(kind, 'message of the plugin');
  }
}

function decodeHello(from: AttributeReader): Hello {
  const version = from.required(attribute.VERSION);
  if (version !== PROTOCOL_VERSION) {
    throw new AgentError(
      `the plugin speaks version ${version} of the key feed and this agent version ${PROTOCOL_VERSION}: ` +
        'install the plugin and the agent from the same release, then restart charon',
      { code: 'unsupported' },
    );
  }
  return {
    kind: 'hello',
    version,
    instance: from.required(attribute.INSTANCE),
    server: from.required(attribute.SERVER),
    deadlineMs: from.required(attribute.DEADLINE_MS),
    ageMs: from.optional(attribute.AGE_MS),
  };
}

function decodeSaId(from: AttributeReader): FeedSaId {
  return {
    protocol: from.required(attribute.SA_PROTOCOL),
    spi: from.required(attribute.SPI),
    source: from.required(attribute.SRC),
    destination: from.required(attribute.DST),
    direction: from.required(attribute.DIRECTION_OF_SA),
    mark: from.optional(attribute.MARK),
    ifId: from.optional(attribute.IF_ID),
  };
}

function decodeSa(from: AttributeReader): FeedSa {
  const lifetime = from.required(attribute.LIFETIME);
  return {
    id: decodeSaId(from),
    reqid: from.required(attribute.REQID),
    mode: from.required(attribute.SA_MODE),
    encr: from.required(attribute.ENCR),
    integ: from.required(attribute.INTEG),
    softLifetime: lifetime.soft,
    hardLifetime: lifetime.hard,
    replayWindow: from.required(attribute.REPLAY_WINDOW),
    esn: from.required(attribute.ESN),
    encap: from.required(attribute.ENCAP),
    copyDf: from.required(attribute.COPY_DF),
    copyEcn: from.required(attribute.COPY_ECN),
    copyDscp: from.required(attribute.DSCP_COPY),
    tfc: from.required(attribute.TFC),
    initiator: from.required(attribute.INITIATOR),
    sourceSelectors: from.repeated(attribute.SRC_TS),
    destinationSelectors: from.repeated(attribute.DST_TS),
    ipcomp: from.optional(attribute.IPCOMP),
    hwOffload: from.optional(attribute.OFFLOAD),
    interface: from.optional(attribute.INTERFACE),
    label: from.optional(attribute.LABEL),
    setMark: from.optional(attribute.SET_MARK),
    cpu: from.optional(attribute.CPU),
    ageMs: from.optional(attribute.AGE_MS),
    // Last: nothing can fail after them and leave a key behind.
    encrKey: from.optional(attribute.ENCR_KEY),
    integKey: from.optional(attribute.INTEG_KEY),
  };
}

function decodePolicy(from: AttributeReader): FeedPolicy {
  return {
    direction: from.required(attribute.DIRECTION_OF_POLICY),
    source: from.required(attribute.SRC_TS),
    destination: from.required(attribute.DST_TS),
    mark: from.optional(attribute.MARK),
    ifId: from.optional(attribute.IF_ID),
    interface: from.optional(attribute.INTERFACE),
    label: from.optional(attribute.LABEL),
    type: from.required(attribute.TYPE_OF_POLICY),
    priorityClass: from.required(attribute.CLASS_OF_PRIORITY),
    manualPriority: from.required(attribute.MANUAL_PRIORITY),
    outerSource: from.required(attribute.SRC),
    outerDestination: from.required(attribute.DST),
    reqid: from.required(attribute.REQID),
    mode: from.required(attribute.SA_MODE),
    espSpi: from.required(attribute.ESP_SPI),
    ahSpi: from.required(attribute.AH_SPI),
    ipcomp: from.optional(attribute.IPCOMP),
  };
}
