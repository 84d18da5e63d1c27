import type { FeedMark, FeedPolicy, FeedSa, FeedSaId, UpdateSa } from '../keyfeed/index.ts';
import {
  type KeyedTransform,
  type Mark,
  type PolicyAction,
  type PolicyUser,
  type SaId,
  type SaMove,
  type SecurityAssociation,
  toReqId,
  toSpi,
  type UdpEncapsulation,
} from '../sad/index.ts';
import { AgentError, SecretBytes } from '../util/index.ts';
import type { VrfOf } from './vrf-rules.ts';

/** charon passes a mark of mask 0 where none is set. */
function toMark(mark: FeedMark | undefined): Mark | undefined {
  return mark === undefined || mark.mask === 0 ? undefined : mark;
}

function toIfId(ifId: number | undefined): number | undefined {
  return ifId === 0 ? undefined : ifId;
}

/** IANA: the one encryption transform without a key. */
const ENCR_NULL = 11;

/** Without a key there is no transform: charon names one then that stands for none. */
function toTransform(id: number, key: SecretBytes | undefined): KeyedTransform | undefined {
  return id === 0 || key === undefined ? undefined : { id, key };
}

function toEncryption(id: number, key: SecretBytes | undefined): KeyedTransform | undefined {
  return toTransform(id, id === ENCR_NULL ? (key ?? new SecretBytes(new Uint8Array(0))) : key);
}

function toEncapsulation(
  isEncapsulated: boolean,
  sourcePort: number,
  destinationPort: number,
): UdpEncapsulation | undefined {
  return isEncapsulated ? { sourcePort, destinationPort } : undefined;
}

export function toSaId(id: FeedSaId): SaId {
  return {
    direction: id.direction,
    protocol: id.protocol,
    spi: toSpi(id.spi),
    destination: id.destination.address,
    mark: toMark(id.mark),
    ifId: toIfId(id.ifId),
  };
}

/** The SA takes over the keys. */
export function toSecurityAssociation(feed: FeedSa, vrfOf: VrfOf): SecurityAssociation {
  const { source, destination } = feed.id;
  const id = toSaId(feed.id);
  return {
    id,
    source: source.address,
    mode: feed.mode,
    reqid: toReqId(feed.reqid),
    encryption: toEncryption(feed.encr, feed.encrKey),
    integrity: toTransform(feed.integ, feed.integKey),
    udpEncapsulation: toEncapsulation(feed.encap, source.port, destination.port),
    replayWindow: feed.replayWindow,
    esn: feed.esn,
    sourceSelectors: feed.sourceSelectors,
    destinationSelectors: feed.destinationSelectors,
    // The plugin raises the soft expiry by time itself: it knows when a rekey can succeed.
    softLifetime: { ...feed.softLifetime, seconds: undefined },
    hardLifetime: feed.hardLifetime,
    copyDf: feed.copyDf,
    copyEcn: feed.copyEcn,
    copyDscp: feed.copyDscp,
    tfc: feed.tfc,
    ipcomp: feed.ipcomp ?? 0,
    setMark: toMark(feed.setMark),
    innerVrf: vrfOf(id),
    interface: feed.interface,
    label: feed.label,
    cpu: feed.cpu,
    hwOffload: feed.hwOffload === 'yes',
  };
}

export function toSaMove(feed: UpdateSa): SaMove {
  return {
    source: feed.newSource.address,
    destination: feed.newDestination.address,
    udpEncapsulation: toEncapsulation(feed.newEncap, feed.newSource.port, feed.newDestination.port),
    reqid: feed.newReqid === undefined || feed.newReqid === 0 ? undefined : toReqId(feed.newReqid),
  };
}

function toAction(feed: FeedPolicy): PolicyAction {
  if (feed.type === 'pass') return { kind: 'bypass' };
  if (feed.type === 'drop') return { kind: 'discard' };
  if (feed.espSpi !== 0 && feed.ahSpi !== 0) {
    throw new AgentError('a policy wants ESP and AH on the same packet (an SA bundle)', {
      code: 'unsupported',
    });
  }
  const spi = feed.espSpi === 0 ? feed.ahSpi : feed.espSpi;
  return {
    kind: 'protect',
    template: {
      protocol: feed.ahSpi === 0 ? 'esp' : 'ah',
      mode: feed.mode,
      source: feed.outerSource.address,
      destination: feed.outerDestination.address,
      spi: spi === 0 ? undefined : toSpi(spi),
      reqid: toReqId(feed.reqid),
    },
  };
}

/** @throws AgentError `unsupported` for a policy that no contract can carry. */
export function toPolicyUser(feed: FeedPolicy, vrfOf: VrfOf): PolicyUser {
  const scope = { mark: toMark(feed.mark), ifId: toIfId(feed.ifId) };
  return {
    id: {
      direction: feed.direction,
      source: feed.source,
      destination: feed.destination,
      ...scope,
      interface: feed.interface,
      label: feed.label,
      innerVrf: vrfOf(scope),
    },
    action: toAction(feed),
    priorityClass: feed.priorityClass,
    manualPriority: feed.manualPriority,
  };
}
