import { type SaId, type SaKey, type SaUsage, type SecurityAssociation, saKey } from '../sad/index.ts';
import type { Usage } from './usage-poller.ts';

/** A reading of the dataplane's counters, and what follows from it. */
export type UsageReport = Usage & {
  /** SAs that have reached a soft limit in bytes or packets: charon should have rekeyed them. */
  readonly overSoftLimit: readonly SaId[];
};

function isOver({ counters }: SaUsage, { softLifetime: { bytes, packets } }: SecurityAssociation): boolean {
  return (
    (bytes !== undefined && counters.bytes >= bytes) || (packets !== undefined && counters.packets >= packets)
  );
}

/**
 * Which SAs have reached a soft limit. The dataplane tells so with an event as well, which is gone if
 * nobody heard it; a state can be looked at again.
 */
export function overSoftLimit(
  usages: readonly SaUsage[],
  desired: ReadonlyMap<SaKey, SecurityAssociation>,
): readonly SaId[] {
  const isReached = (usage: SaUsage): boolean => {
    const sa = desired.get(saKey(usage.id));
    return sa !== undefined && isOver(usage, sa);
  };
  return usages.filter(isReached).map(({ id }) => id);
}
