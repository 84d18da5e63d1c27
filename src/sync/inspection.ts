import { type Spi, saKey } from '../sad/index.ts';
import { AgentError } from '../util/index.ts';
import type { BackOffs } from './back-off.ts';
import { type Comparison, compare, toSyncDiff } from './comparison.ts';
import type { ComparisonLoop } from './comparison-loop.ts';
import type { DeletionGuard } from './deletion-guard.ts';
import type { Withheld } from './deletions.ts';
import type { DesiredState } from './desired-state.ts';
import { type DryRun, toDryRun } from './dry-run.ts';
import type { ExpiredSas } from './expired-sas.ts';
import type { InitiateRequests } from './initiate-requests.ts';
import type { LinkState } from './link-state.ts';
import type { Pipeline } from './pipeline.ts';
import type { CallOptions, DataplaneCapabilities } from './ports.ts';
import type { RekeyRequests } from './rekey-requests.ts';
import type { RepairPlan } from './repair.ts';
import type { SaJournal } from './sa-journal.ts';
import { hasSpi, type SaStory, tellStories } from './sa-story.ts';
import type { SyncDiff, SyncStatus } from './status.ts';
import type { SyncEngineOptions } from './sync-engine-options.ts';

export type InspectionOptions = Pick<SyncEngineOptions, 'dataplane' | 'random' | 'clock'> & {
  readonly desired: DesiredState;
  readonly pipeline: Pick<
    Pipeline,
    'startTouchLog' | 'endTouchLog' | 'pending' | 'unknownCount' | 'waitingCount' | 'totals'
  >;
  readonly comparisons: Pick<ComparisonLoop, 'last' | 'lastDurationMs' | 'nextMs' | 'sums' | 'cycles'>;
  readonly backOffs: BackOffs;
  readonly rekeys: RekeyRequests;
  readonly initiations: Pick<InitiateRequests, 'waiting' | 'asked'>;
  readonly deletions: Pick<DeletionGuard, 'charon' | 'weigh' | 'withheld'>;
  readonly expired: ExpiredSas;
  readonly journal: SaJournal;
  readonly link: () => LinkState;
  readonly obstacle: () => string | undefined;
  /** As a cycle does it. */
  readonly planRepair: (
    comparison: Comparison,
    withheld: Withheld,
    capabilities: DataplaneCapabilities,
  ) => RepairPlan;
};

/** How an engine stands. */
export type Standing = {
  readonly link: LinkState;
  /** Why requests cannot be answered. */
  readonly reason: string | undefined;
  readonly isCompared: boolean;
  /** Empty before the first snapshot. */
  readonly charonInstanceId: string;
};

/** What a person may ask of an engine; it changes nothing. */
export class Inspection {
  readonly #options: InspectionOptions;

  constructor(options: InspectionOptions) {
    this.#options = options;
  }

  status({ link, reason, isCompared, charonInstanceId }: Standing): SyncStatus {
    const { clock, desired, pipeline, comparisons, backOffs, rekeys, initiations } = this.#options;
    const { foreign, braked } = this.#options.deletions.withheld;
    const repairs = backOffs.entries.map(({ key, attempts, reason: why }) => ({
      key,
      attempts,
      reason: why,
    }));
    const left =
      repairs.length + rekeys.wanted.length + foreign.size + braked.size + this.#options.expired.size;
    return {
      ...{ link: link.kind, reason, repairs },
      isInSync: isCompared && left === 0 && pipeline.unknownCount === 0,
      bootId: link.kind === 'down' ? undefined : link.capabilities.bootId,
      charonInstanceId: charonInstanceId === '' ? undefined : charonInstanceId,
      desiredSas: desired.sas.size,
      desiredPolicies: desired.policies.size,
      forwardPolicies: desired.policies.forwardCount,
      waitingRequests: pipeline.waitingCount,
      rekeys: rekeys.wanted,
      withheld: { foreign: [...foreign], braked: [...braked] },
      setups: initiations.waiting,
      lastCycle: comparisons.last,
      lastCycleMs: comparisons.lastDurationMs,
      nextCycleInMs: comparisons.nextMs - clock.now(),
      cycleSums: comparisons.sums,
      counters: {
        ...pipeline.totals,
        cycles: comparisons.cycles,
        rekeysAsked: rekeys.asked,
        initiationsAsked: initiations.asked,
      },
    };
  }

  async diff(options?: CallOptions): Promise<SyncDiff> {
    return toSyncDiff((await this.#compare(options)).comparison);
  }

  async plan(options?: CallOptions): Promise<DryRun> {
    const { clock, planRepair, deletions, backOffs, rekeys, expired } = this.#options;
    const { charon } = deletions;
    const { comparison, capabilities } = await this.#compare(options);
    const withheld = deletions.weigh({ comparison, charon });
    return toDryRun({
      ...{ comparison, withheld, expired: expired.current(clock.now()) },
      nowMs: clock.now(),
      repair: planRepair(comparison, withheld, capabilities),
      failed: backOffs.entries,
      wantOf: (id) => rekeys.get(saKey(id)),
    });
  }

  explain(spi: Spi): readonly SaStory[] {
    const { clock, desired, pipeline, backOffs, rekeys, expired, journal } = this.#options;
    const nowMs = clock.now();
    return tellStories(
      {
        ...{ nowMs, backOffs, rekeys, journal },
        pending: [...pipeline.pending()],
        expired: expired.current(nowMs),
        desired: desired.sas,
      },
      hasSpi(spi),
    );
  }

  async #compare({ signal }: CallOptions = {}): Promise<{
    readonly comparison: Comparison;
    readonly capabilities: DataplaneCapabilities;
  }> {
    const { dataplane, random, desired, pipeline, link, obstacle } = this.#options;
    const state = link();
    if (state.kind === 'down' || state.kind === 'no-snapshot') {
      throw new AgentError(`cannot compare: ${obstacle()}`, { code: 'unavailable', retryable: true });
    }
    const ignored = pipeline.startTouchLog();
    try {
      const comparison = await compare({ dataplane, random, signal, ignored, desired });
      return { comparison, capabilities: state.capabilities };
    } finally {
      pipeline.endTouchLog(ignored);
    }
  }
}
