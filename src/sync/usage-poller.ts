import { AgentError, type Clock } from '../util/index.ts';
import type { CallOptions, DataplanePort, PolicyListing, UsageListing } from './ports.ts';

export type Usage = Pick<UsageListing, 'usages'> &
  Pick<PolicyListing, 'policies'> & {
    /** Of every SA and policy, not only of those that carried packets since the last one. */
    readonly isComplete: boolean;
  };

/** A reading in so many is of everything: whoever missed something hears of it then. */
const READINGS_PER_COMPLETE = 60;

export type UsagePollerOptions = {
  readonly dataplane: Pick<DataplanePort, 'listCounters' | 'listPolicies'>;
  readonly clock: Clock;
  readonly intervalMs: number;
  /**
   * Undefined: nothing can be read now. Another one than before: who is told knows nothing of
   * earlier readings, or the dataplane does not.
   */
  readonly ground: () => object | undefined;
  readonly onUsage: (usage: Usage) => void;
};

/** What the next reading may leave out. */
type Mark = {
  readonly ground: object;
  readonly bootId: string;
  readonly sasAtMs: bigint;
  readonly policiesAtMs: bigint;
  /** Readings since one of everything. */
  readonly count: number;
};

/**
 * Reads counters at an interval, forever: charon's queries are answered from them, and they hold the
 * replay state to restore lost SAs with. The first reading is of everything, the next ones of what
 * carried packets since the one before, and now and then one of everything again. A reading that fails is skipped: the connection's own
 * supervision reports and repairs it.
 */
export async function pollUsage(options: UsagePollerOptions, { signal }: CallOptions): Promise<void> {
  const { clock, intervalMs, ground } = options;
  let mark: Mark | undefined;
  for (;;) {
    await clock.sleep(intervalMs, { signal });
    const current = ground();
    if (current === undefined) continue;
    try {
      mark = await readOnce(
        options,
        current,
        mark?.ground === current && mark.count < READINGS_PER_COMPLETE ? mark : undefined,
        signal,
      );
    } catch (error) {
      if (!(error instanceof AgentError) || signal?.aborted) throw error;
    }
  }
}

/** Undefined when the next reading has to be of everything again. */
async function readOnce(
  { dataplane, onUsage }: UsagePollerOptions,
  ground: object,
  since: Mark | undefined,
  signal: AbortSignal | undefined,
): Promise<Mark | undefined> {
  const [sas, policies] = await Promise.all([
    dataplane.listCounters({ usedSinceMs: since?.sasAtMs, signal }),
    dataplane.listPolicies({ usedSinceMs: since?.policiesAtMs, signal }),
  ]);
  onUsage({ usages: sas.usages, policies: policies.policies, isComplete: since === undefined });
  const { bootId } = sas;
  // After a boot the dataplane's clock is another one.
  const isOneBoot = bootId === policies.bootId && (since === undefined || since.bootId === bootId);
  return isOneBoot
    ? {
        ...{ ground, bootId, count: (since?.count ?? 0) + 1 },
        sasAtMs: sas.listedAtMs,
        policiesAtMs: policies.listedAtMs,
      }
    : undefined;
}
