import { type Operation, type SaId, type SaKey, saKey } from '../sad/index.ts';
import type { FailedEntry } from './back-off.ts';
import { type Comparison, toSyncDiff } from './comparison.ts';
import type { Withheld } from './deletions.ts';
import type { RekeyWant } from './rekey-requests.ts';
import type { RepairPlan } from './repair.ts';
import type { SyncDiff } from './status.ts';

/** What a repair would do now, without doing it. */
export type DryRun = {
  readonly diff: SyncDiff;
  /** In the order they would be sent. An SA in it may have its keys: describe it, do not pass it on. */
  readonly operations: readonly Operation[];
  /** SAs whose CHILD_SA charon would be asked to rekey; with the tries so far and when the next may be. */
  readonly rekeys: readonly { readonly id: SaId; readonly attempts: number; readonly nextTryInMs: number }[];
  /** Entries that differ, and are left alone until their back-off ends. */
  readonly waiting: readonly (Omit<FailedEntry, 'notBeforeMs'> & { readonly nextTryInMs: number })[];
  /** SAs whose hard lifetime ended in the dataplane: nothing is done about them. */
  readonly expired: readonly SaKey[];
  /** What charon does not have and stays all the same. */
  readonly withheld: Pick<Withheld, 'foreign' | 'braked'>;
};

export type DryRunSources = {
  readonly nowMs: number;
  readonly comparison: Pick<Comparison, 'sas' | 'policies'>;
  readonly withheld: Withheld;
  readonly repair: RepairPlan;
  readonly failed: readonly FailedEntry[];
  readonly wantOf: (id: SaId) => RekeyWant | undefined;
  readonly expired: ReadonlySet<SaKey>;
};

export function toDryRun(sources: DryRunSources): DryRun {
  const { nowMs, comparison, withheld, repair, failed, wantOf, expired } = sources;
  const inMs = (timeMs: number): number => Math.max(0, Math.round(timeMs - nowMs));
  return {
    diff: toSyncDiff(comparison),
    withheld,
    operations: repair.operations,
    rekeys: repair.lost.map((id) => {
      const want = wantOf(id);
      return { id, attempts: want?.attempts ?? 0, nextTryInMs: inMs(want?.notBeforeMs ?? nowMs) };
    }),
    waiting: failed
      .filter(({ key, notBeforeMs }) => notBeforeMs > nowMs && repair.keys.has(key))
      .map(({ notBeforeMs, ...entry }) => ({ ...entry, nextTryInMs: inMs(notBeforeMs) })),
    expired: [...comparison.sas.missing.values()]
      .map(({ id }) => saKey(id))
      .filter((key) => expired.has(key)),
  };
}
