import {
  type Operation,
  operationKeys,
  type PlanOrder,
  plan,
  repairOf,
  type SaId,
  type SaKey,
} from '../sad/index.ts';
import type { Comparison } from './comparison.ts';
import { type Withheld, withoutWithheld } from './deletions.ts';
import type { LastKnownUsage } from './last-known-usage.ts';

export type RepairOptions = {
  readonly comparison: Pick<Comparison, 'sas' | 'policies'>;
  /** Entries that stay although charon does not have them. */
  readonly withheld: Withheld;
  readonly lastKnown: LastKnownUsage;
  readonly takesReplayState: boolean;
  /** SAs that ended where they were, not to be brought back. */
  readonly expired: ReadonlySet<SaKey>;
  readonly order: PlanOrder;
  /** Whether the last try failed too short a time ago. */
  readonly isWaiting: (key: string) => boolean;
};

export type RepairPlan = {
  readonly operations: readonly Operation[];
  /** Every entry that differs and an operation can repair, those that wait included. */
  readonly keys: ReadonlySet<string>;
  /** SAs that only a rekey brings back. */
  readonly lost: readonly SaId[];
};

/** From what differs to what to do now. */
export function planRepair(options: RepairOptions): RepairPlan {
  const { comparison, withheld, lastKnown, takesReplayState, expired, order, isWaiting } = options;
  const { sas, policies } = withoutWithheld(comparison, withheld);
  const missing = new Map([...sas.missing].filter(([key]) => !expired.has(key)));
  const { changes, rekey } = repairOf({ ...sas, missing }, policies, (sa) =>
    lastKnown.restore(sa, { takesReplayState }),
  );
  const operations = plan(changes, order);
  return {
    operations: operations.filter((operation) => !operationKeys(operation).some(isWaiting)),
    keys: new Set(operations.flatMap(operationKeys)),
    lost: rekey,
  };
}
