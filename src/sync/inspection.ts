import { type SaKey, type Spi, saKey } from '../sad/index.ts';
import { AgentError } from '../util/index.ts';
import type { BackOffs } from './back-off.ts';
import { type Comparison, compare, toSyncDiff } from './comparison.ts';
import type { DeletionGuard } from './deletion-guard.ts';
import type { Withheld } from './deletions.ts';
import type { DesiredState } from './desired-state.ts';
import { type DryRun, toDryRun } from './dry-run.ts';
import type { LinkState } from './link-state.ts';
import type { Pipeline } from './pipeline.ts';
import type { CallOptions, DataplaneCapabilities } from './ports.ts';
import type { RekeyRequests } from './rekey-requests.ts';
import type { RepairPlan } from './repair.ts';
import type { SaJournal } from './sa-journal.ts';
import { hasSpi, type SaStory, tellStories } from './sa-story.ts';
import type { SyncDiff } from './status.ts';
import type { SyncEngineOptions } from './sync-engine-options.ts';

export type InspectionOptions = Pick<SyncEngineOptions, 'dataplane' | 'random' | 'clock'> & {
  readonly desired: DesiredState;
  readonly pipeline: Pick<Pipeline, 'startTouchLog' | 'endTouchLog' | 'pending'>;
  readonly backOffs: BackOffs;
  readonly rekeys: RekeyRequests;
  readonly deletions: Pick<DeletionGuard, 'charon' | 'weigh'>;
  readonly expired: ReadonlySet<SaKey>;
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

/** What a person may ask of an engine; it changes nothing. */
export class Inspection {
  readonly #options: InspectionOptions;

  constructor(options: InspectionOptions) {
    this.#options = options;
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
      ...{ comparison, withheld, expired },
      nowMs: clock.now(),
      repair: planRepair(comparison, withheld, capabilities),
      failed: backOffs.entries,
      wantOf: (id) => rekeys.get(saKey(id)),
    });
  }

  explain(spi: Spi): readonly SaStory[] {
    const { clock, desired, pipeline, backOffs, rekeys, expired, journal } = this.#options;
    const pending = [...pipeline.pending()];
    return tellStories(
      { ...{ pending, backOffs, rekeys, expired, journal }, nowMs: clock.now(), desired: desired.sas },
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
