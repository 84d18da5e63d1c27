import type { ListPoliciesRequest, ListSasRequest, PolicyState, SaState } from '../proto/index.ts';
import type { ContractBackend, Reading } from '../server/index.ts';
import type { Applier } from './applier.ts';
import type { Sad } from './sad.ts';
import type { Spd } from './spd.ts';

export type BackendOptions = Omit<
  ContractBackend,
  'apply' | 'listSas' | 'listPolicies' | 'onInSync' | 'status'
> & {
  readonly sad: Sad;
  readonly spd: Spd;
  readonly applier: Applier;
};

/** The engine's clock for use times is coarse, and not the one that dates listings. */
const CLOCK_SLACK_MS = 100;

/** Those that carried a packet since an earlier listing, as far as the clocks can tell; all when `sinceMs` is 0. */
function usedSince<Record>(
  records: readonly Record[],
  sinceMs: bigint,
  lastUseMs: (record: Record) => number,
): readonly Record[] {
  if (sinceMs === 0n) return records;
  const earliestMs = Number(sinceMs) - CLOCK_SLACK_MS;
  return records.filter((record) => lastUseMs(record) >= earliestMs);
}

function listSas(sad: Sad, request: ListSasRequest): readonly Reading<SaState>[] {
  const { ownerId, fingerprintNonce: nonce, countersOnly: isCountersOnly, usedSinceMs } = request;
  return usedSince(sad.list(ownerId), usedSinceMs, (record) => sad.lastUseMs(record)).map(
    (record) => () => sad.state(record, { nonce, isCountersOnly }),
  );
}

function listPolicies(
  spd: Spd,
  { ownerId, usedSinceMs }: ListPoliciesRequest,
): readonly Reading<PolicyState>[] {
  return usedSince(spd.list(ownerId), usedSinceMs, (record) => spd.lastUseMs(record)).map(
    (record) => () => spd.state(record),
  );
}

/** This dataplane's parts, as what is behind the contract. */
export function createBackend({ sad, spd, applier, ...rest }: BackendOptions): ContractBackend {
  return {
    ...rest,
    apply: (request) => applier.apply(request),
    listSas: (request) => listSas(sad, request),
    listPolicies: (request) => listPolicies(spd, request),
    // What no policy is for is dropped from the start: nothing waits for an agent.
    onInSync: () => undefined,
    status: () => ({ spiSlots: [], notes: [] }),
  };
}
