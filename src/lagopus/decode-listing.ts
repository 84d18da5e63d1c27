import {
  type Policy as ProtoPolicy,
  PolicyAction as ProtoPolicyAction,
  type PolicyId as ProtoPolicyId,
  type PolicyState as ProtoPolicyState,
  type ReplayState as ProtoReplayState,
  type Sa as ProtoSa,
  type SaCounters as ProtoSaCounters,
  type SaId as ProtoSaId,
  type SaState as ProtoSaState,
  type SaTemplate as ProtoSaTemplate,
} from '../proto/index.ts';
import {
  type ActualPolicy,
  type ActualSa,
  type KeylessSa,
  type PolicyAction,
  type PolicyId,
  type ReplayState,
  type SaCounters,
  type SaId,
  type SaTemplate,
  type SaUsage,
  type SecurityPolicy,
  type Spi,
  toReqId,
  toSpi,
} from '../sad/index.ts';
import { direction, dscpCopy, mode, protocol } from './codes.ts';
import { malformed, required } from './malformed.ts';
import { decodeAddress, decodeBytes, decodeEncapsulation, decodeMark, decodeSelector } from './selectors.ts';

export function decodeSpi(spi: number): Spi {
  if (spi < 256) throw malformed(`SPI ${spi}`);
  return toSpi(spi);
}

export function decodeSaId(message: ProtoSaId | undefined): SaId {
  const id = required(message, 'SA id');
  return {
    direction: direction.decode(id.direction),
    protocol: protocol.decode(id.protocol),
    spi: decodeSpi(id.spi),
    destination: decodeAddress(id.destination),
    mark: decodeMark(id.mark),
    ifId: id.ifId === 0 ? undefined : id.ifId,
  };
}

export function decodeCounters(message: ProtoSaCounters | undefined): SaCounters {
  return {
    bytes: message?.bytes ?? 0n,
    packets: message?.packets ?? 0n,
    idleMs: message?.idleMs,
    replayDrops: message?.replayDrops ?? 0n,
    integrityFailures: message?.integrityFailures ?? 0n,
    selectorDrops: message?.selectorDrops ?? 0n,
    malformedDrops: message?.malformedDrops ?? 0n,
  };
}

function decodeReplayState(message: ProtoReplayState | undefined): ReplayState | undefined {
  if (message === undefined) return undefined;
  return { highestSequence: message.highestSequence, bitmap: Uint8Array.from(message.bitmap) };
}

/** The counters of an SA; all there is in a listing of counters only. */
export function decodeUsage(state: ProtoSaState): SaUsage {
  return {
    id: decodeSaId(state.sa?.id),
    counters: decodeCounters(state.counters),
    nextSequence: state.nextSequence,
    replayState: decodeReplayState(state.replayState),
  };
}

function decodeSa(sa: ProtoSa, id: SaId): KeylessSa {
  return {
    id,
    source: decodeAddress(sa.source),
    mode: mode.decode(sa.mode),
    reqid: toReqId(sa.reqid),
    encryption: sa.encryption === 0 ? undefined : sa.encryption,
    integrity: sa.integrity === 0 ? undefined : sa.integrity,
    udpEncapsulation: decodeEncapsulation(sa.udpEncapsulation),
    replayWindow: sa.replayWindow,
    esn: sa.esn,
    sourceSelectors: sa.sourceSelectors.map(decodeSelector),
    destinationSelectors: sa.destinationSelectors.map(decodeSelector),
    softLifetime: {},
    hardLifetime: {},
    copyDf: sa.copyDf,
    copyEcn: sa.copyEcn,
    copyDscp: dscpCopy.decode(sa.copyDscp),
    tfc: sa.tfc,
    ipcomp: sa.ipcomp,
    setMark: decodeMark(sa.setMark),
    innerVrf: sa.innerVrf === '' ? undefined : sa.innerVrf,
    interface: sa.interface === '' ? undefined : sa.interface,
    label: decodeBytes(sa.label),
    cpu: sa.cpu === 0 ? undefined : sa.cpu - 1,
    hwOffload: sa.hwOffload,
  };
}

export function decodeSaState(state: ProtoSaState): ActualSa {
  const usage = decodeUsage(state);
  return {
    sa: decodeSa(required(state.sa, 'SA'), usage.id),
    usage,
    keyFingerprint: state.keyFingerprint.length === 0 ? undefined : state.keyFingerprint.toString('hex'),
    charonInstanceId: state.charonInstanceId.toString('hex'),
    ageMs: state.ageMs,
  };
}

export function decodePolicyId(message: ProtoPolicyId | undefined): PolicyId {
  const id = required(message, 'policy id');
  return {
    direction: direction.decode(id.direction),
    source: decodeSelector(id.source),
    destination: decodeSelector(id.destination),
    mark: decodeMark(id.mark),
    ifId: id.ifId === 0 ? undefined : id.ifId,
    interface: id.interface === '' ? undefined : id.interface,
    label: decodeBytes(id.label),
    innerVrf: id.innerVrf === '' ? undefined : id.innerVrf,
  };
}

function decodeTemplate(template: ProtoSaTemplate): SaTemplate {
  return {
    protocol: protocol.decode(template.protocol),
    mode: mode.decode(template.mode),
    source: decodeAddress(template.source),
    destination: decodeAddress(template.destination),
    spi: template.spi === 0 ? undefined : decodeSpi(template.spi),
    reqid: toReqId(template.reqid),
  };
}

function decodeAction({ action, templates }: ProtoPolicy): PolicyAction {
  switch (action) {
    case ProtoPolicyAction.POLICY_ACTION_PROTECT: {
      if (templates.length !== 1) throw malformed(`a protect policy of ${templates.length} templates`);
      return { kind: 'protect', template: decodeTemplate(required(templates[0], 'SA template')) };
    }
    case ProtoPolicyAction.POLICY_ACTION_BYPASS:
      return { kind: 'bypass' };
    case ProtoPolicyAction.POLICY_ACTION_DISCARD:
      return { kind: 'discard' };
    default:
      throw malformed(`${action} is no policy action`);
  }
}

function decodePolicy(policy: ProtoPolicy): SecurityPolicy {
  return { id: decodePolicyId(policy.id), action: decodeAction(policy), priority: policy.priority };
}

export function decodePolicyState(state: ProtoPolicyState): ActualPolicy {
  return {
    policy: decodePolicy(required(state.policy, 'policy')),
    charonInstanceId: state.charonInstanceId.toString('hex'),
    ageMs: state.ageMs,
    packets: state.packets,
    bytes: state.bytes,
    idleMs: state.idleMs,
  };
}
