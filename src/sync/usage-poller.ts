import { AgentError, type Clock } from '../util/index.ts';
import type { CallOptions, DataplanePort, PolicyListing, UsageListing } from './ports.ts';

export type Usage = Pick<UsageListing, 'usages'> & Pick<PolicyListing, 'policies'>;

export type UsagePollerOptions = {
  readonly dataplane: Pick<DataplanePort, 'listCounters' | 'listPolicies'>;
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly isEnabled: () => boolean;
  readonly onUsage: (usage: Usage) => void;
};

/**
 * Reads counters at an interval, forever: charon's queries are answered from them, and
 * they hold the replay state to restore lost SAs with. A reading that fails is skipped:
 * the connection's own supervision reports and repairs it.
 */
export async function pollUsage(options: UsagePollerOptions, { signal }: CallOptions): Promise<void> {
  const { dataplane, clock, intervalMs, isEnabled, onUsage } = options;
  for (;;) {
    await clock.sleep(intervalMs, { signal });
    if (!isEnabled()) continue;
    try {
      const [{ usages }, { policies }] = await Promise.all([
        dataplane.listCounters({ signal }),
        dataplane.listPolicies({ signal }),
      ]);
      onUsage({ usages, policies });
    } catch (error) {
      if (!(error instanceof AgentError) || signal?.aborted) throw error;
    }
  }
}
