import {
  type ActualSa,
  type KeylessSa,
  type ReplayState,
  type SaCounters,
  type SaId,
  type SaUsage,
  type TrafficSelector,
  toReqId,
} from '../sad/index.ts';
import { direction, dscpCopy, mode, protocol } from './codes.ts';
import { decodeSpi } from './decode-ids.ts';
import { malformed, required } from './malformed.ts';
import { readAddress, readEncapsulation, readMark, readSelector } from './read-selector.ts';
import { type Draft, type Fields, type Owned, sized, varint, type WireReader } from './wire-reader.ts';

type SaIdDraft = Omit<Draft<SaId>, 'direction' | 'protocol' | 'spi'> & {
  direction: number;
  protocol: number;
  spi: number;
};

const SA_ID: Fields<SaIdDraft> = {
  [varint(1)]: (id, from) => {
    id.direction = from.u32();
  },
  [varint(2)]: (id, from) => {
    id.protocol = from.u32();
  },
  [varint(3)]: (id, from) => {
    id.spi = from.u32();
  },
  [sized(4)]: (id, from) => {
    id.destination = readAddress(from);
  },
  [sized(5)]: (id, from) => {
    id.mark = readMark(from);
  },
  [varint(6)]: (id, from) => {
    id.ifId = from.u32() || undefined;
  },
};

function readSaId(from: WireReader): SaId {
  const draft: SaIdDraft = {
    ...{ direction: 0, protocol: 0, spi: 0, destination: '' },
    ...{ mark: undefined, ifId: undefined },
  };
  from.message(draft, SA_ID);
  if (draft.destination === '') throw malformed('an SA without destination');
  return {
    direction: direction.decode(draft.direction),
    protocol: protocol.decode(draft.protocol),
    spi: decodeSpi(draft.spi),
    destination: draft.destination,
    mark: draft.mark,
    ifId: draft.ifId,
  };
}

const COUNTERS: Fields<Draft<SaCounters>> = {
  [varint(1)]: (counters, from) => {
    counters.bytes = from.u64();
  },
  [varint(2)]: (counters, from) => {
    counters.packets = from.u64();
  },
  [varint(3)]: (counters, from) => {
    counters.idleMs = from.u64();
  },
  [varint(4)]: (counters, from) => {
    counters.replayDrops = from.u64();
  },
  [varint(5)]: (counters, from) => {
    counters.integrityFailures = from.u64();
  },
  [varint(6)]: (counters, from) => {
    counters.selectorDrops = from.u64();
  },
  [varint(7)]: (counters, from) => {
    counters.malformedDrops = from.u64();
  },
};

const NO_COUNTERS: SaCounters = {
  ...{ bytes: 0n, packets: 0n, idleMs: undefined, replayDrops: 0n },
  ...{ integrityFailures: 0n, selectorDrops: 0n, malformedDrops: 0n },
};

const NO_BYTES = new Uint8Array(0);

const REPLAY_STATE: Fields<Draft<ReplayState>> = {
  [varint(1)]: (state, from) => {
    state.highestSequence = from.u64();
  },
  [sized(2)]: (state, from) => {
    state.bitmap = from.bytes();
  },
};

type SaDraft = Omit<
  Draft<KeylessSa>,
  'id' | 'mode' | 'copyDscp' | 'reqid' | 'sourceSelectors' | 'destinationSelectors'
> & {
  id: SaId | undefined;
  mode: number;
  copyDscp: number;
  reqid: number;
  readonly sourceSelectors: TrafficSelector[];
  readonly destinationSelectors: TrafficSelector[];
};

/** Lifetimes are as they were asked for, and are not compared. */
const SA: Fields<SaDraft> = {
  [sized(1)]: (sa, from) => {
    sa.id = readSaId(from);
  },
  [sized(2)]: (sa, from) => {
    sa.source = readAddress(from);
  },
  [varint(3)]: (sa, from) => {
    sa.mode = from.u32();
  },
  [varint(4)]: (sa, from) => {
    sa.reqid = from.u32();
  },
  [varint(5)]: (sa, from) => {
    sa.encryption = from.u32() || undefined;
  },
  [varint(7)]: (sa, from) => {
    sa.integrity = from.u32() || undefined;
  },
  [sized(9)]: (sa, from) => {
    sa.udpEncapsulation = readEncapsulation(from);
  },
  [varint(10)]: (sa, from) => {
    sa.replayWindow = from.u32();
  },
  [varint(11)]: (sa, from) => {
    sa.esn = from.bool();
  },
  [sized(12)]: (sa, from) => {
    sa.sourceSelectors.push(readSelector(from));
  },
  [sized(13)]: (sa, from) => {
    sa.destinationSelectors.push(readSelector(from));
  },
  [sized(18)]: (sa, from) => {
    sa.setMark = readMark(from);
  },
  [sized(20)]: (sa, from) => {
    sa.interface = from.text() || undefined;
  },
  [sized(21)]: (sa, from) => {
    sa.label = from.bytes();
  },
  [sized(22)]: (sa, from) => {
    sa.innerVrf = from.text() || undefined;
  },
  [varint(23)]: (sa, from) => {
    sa.copyDf = from.bool();
  },
  [varint(24)]: (sa, from) => {
    sa.copyEcn = from.bool();
  },
  [varint(25)]: (sa, from) => {
    sa.copyDscp = from.u32();
  },
  [varint(26)]: (sa, from) => {
    sa.tfc = from.u32();
  },
  [varint(27)]: (sa, from) => {
    const cpu = from.u32();
    sa.cpu = cpu === 0 ? undefined : cpu - 1;
  },
  [varint(28)]: (sa, from) => {
    sa.ipcomp = from.u32();
  },
  [varint(29)]: (sa, from) => {
    sa.hwOffload = from.bool();
  },
};

function readSa(from: WireReader): KeylessSa {
  const draft: SaDraft = {
    ...{ id: undefined, source: '', mode: 0, reqid: 0, encryption: undefined, integrity: undefined },
    ...{ udpEncapsulation: undefined, replayWindow: 0, esn: false, sourceSelectors: [] },
    ...{ destinationSelectors: [], softLifetime: {}, hardLifetime: {}, copyDf: false, copyEcn: false },
    ...{ copyDscp: 0, tfc: 0, ipcomp: 0, setMark: undefined, innerVrf: undefined, interface: undefined },
    ...{ label: undefined, cpu: undefined, hwOffload: false },
  };
  from.message(draft, SA);
  if (draft.source === '') throw malformed('an SA without source');
  return {
    ...draft,
    id: required(draft.id, 'SA id'),
    mode: mode.decode(draft.mode),
    copyDscp: dscpCopy.decode(draft.copyDscp),
    reqid: toReqId(draft.reqid),
  };
}

type SaStateDraft = Owned & {
  sa: KeylessSa | undefined;
  /** Without the rest of the SA: what a listing of counters has of it. */
  id: SaId | undefined;
  keyFingerprint: string | undefined;
  charonInstanceId: string;
  ageMs: bigint;
  counters: SaCounters | undefined;
  nextSequence: bigint;
  replayState: ReplayState | undefined;
};

const ID_OF_SA: Fields<{ id: SaId | undefined }> = {
  [sized(1)]: (draft, from) => {
    draft.id = readSaId(from);
  },
};

const USAGE: Fields<SaStateDraft> = {
  [sized(1)]: (draft, from) => {
    from.message(draft, ID_OF_SA);
  },
  [sized(2)]: (draft, from) => {
    draft.isOurs = from.isNext(draft.ownerId);
  },
  [sized(6)]: (draft, from) => {
    draft.counters = from.message({ ...NO_COUNTERS }, COUNTERS);
  },
  [varint(7)]: (draft, from) => {
    draft.nextSequence = from.u64();
  },
  [sized(8)]: (draft, from) => {
    draft.replayState = from.message({ highestSequence: 0n, bitmap: NO_BYTES }, REPLAY_STATE);
  },
};

const SA_STATE: Fields<SaStateDraft> = {
  ...USAGE,
  [sized(1)]: (draft, from) => {
    draft.sa = readSa(from);
  },
  [sized(3)]: (draft, from) => {
    draft.charonInstanceId = from.hexAgain();
  },
  [sized(4)]: (draft, from) => {
    draft.keyFingerprint = from.hex() || undefined;
  },
  [varint(5)]: (draft, from) => {
    draft.ageMs = from.u64();
  },
};

function saStateDraft(ownerId: Buffer): SaStateDraft {
  return {
    ...{ ownerId, isOurs: ownerId.length === 0, sa: undefined, id: undefined, keyFingerprint: undefined },
    ...{ charonInstanceId: '', ageMs: 0n, counters: undefined, nextSequence: 0n, replayState: undefined },
  };
}

function usageOf(id: SaId, { counters, nextSequence, replayState }: SaStateDraft): SaUsage {
  return { id, counters: counters ?? NO_COUNTERS, nextSequence, replayState };
}

export function readSaUsage(from: WireReader, ownerId: Buffer): SaUsage | undefined {
  const draft = from.message(saStateDraft(ownerId), USAGE);
  return draft.isOurs ? usageOf(required(draft.id, 'SA id'), draft) : undefined;
}

export function readActualSa(from: WireReader, ownerId: Buffer): ActualSa | undefined {
  const draft = from.message(saStateDraft(ownerId), SA_STATE);
  if (!draft.isOurs) return undefined;
  const sa = required(draft.sa, 'SA');
  const { keyFingerprint, charonInstanceId, ageMs } = draft;
  return { sa, usage: usageOf(sa.id, draft), keyFingerprint, charonInstanceId, ageMs };
}
