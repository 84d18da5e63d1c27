import { saKey } from '../sad/index.ts';
import { AgentError, type Clock } from '../util/index.ts';
import type { BackOffs } from './back-off.ts';
import { type Comparison, compare, isEqual, type Listings } from './comparison.ts';
import type { DeletionGuard } from './deletion-guard.ts';
import type { Withheld } from './deletions.ts';
import type { DesiredState } from './desired-state.ts';
import type { ExpiredSas } from './expired-sas.ts';
import { noteComparison } from './journal-notes.ts';
import type { LastKnownUsage } from './last-known-usage.ts';
import type { Pipeline } from './pipeline.ts';
import { emptyTotals } from './plan-run.ts';
import type { DataplaneCapabilities, DataplanePort, RandomBytes } from './ports.ts';
import { readBack } from './read-back.ts';
import type { RekeyRequests } from './rekey-requests.ts';
import { planRepair, type RepairPlan } from './repair.ts';
import { checkRevision, type RevisionWatch } from './revision-watch.ts';
import type { SaJournal } from './sa-journal.ts';
import type { CycleSummary } from './status.ts';
import { AUDITS_PER_LISTING } from './sync-engine-options.ts';

export type RepairCycleOptions = {
  readonly dataplane: DataplanePort;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly desired: DesiredState;
  readonly pipeline: Pipeline;
  readonly lastKnown: LastKnownUsage;
  readonly expired: ExpiredSas;
  readonly backOffs: BackOffs;
  readonly deletions: DeletionGuard;
  readonly rekeys: RekeyRequests;
  readonly revisions: RevisionWatch;
  readonly journal: SaJournal;
};

/** What one cycle rests on. */
export type CycleGround = {
  readonly capabilities: DataplaneCapabilities;
  /** Charon is told READY on the strength of an earlier comparison. */
  readonly isCompared: boolean;
  /** Neither the link nor the snapshot is another one by now. */
  readonly isCurrent: () => boolean;
  /** Everything was compared, and what can be repaired at once is. */
  readonly onCompared: () => void;
  readonly signal: AbortSignal;
};

/** Compares the dataplane with desired and repairs what differs: what a comparison leads to, in its order. */
export class RepairCycle {
  readonly #options: RepairCycleOptions;
  #comparedBootId: string | undefined;
  /** The one that lists and compares everything comes after so many that need not. */
  #auditsSinceListing = 0;

  constructor(options: RepairCycleOptions) {
    this.#options = options;
  }

  /**
   * Undefined when it ended early, because its ground changed.
   *
   * @throws AgentError when the dataplane cannot be listed, or has booted
   */
  async run(ground: CycleGround): Promise<CycleSummary | undefined> {
    const { dataplane, pipeline, revisions, deletions } = this.#options;
    const { isCompared, isCurrent, signal } = ground;
    await checkRevision(revisions, { dataplane, pipeline, signal });
    if (!isCurrent()) return undefined;
    this.#auditsSinceListing += 1;
    if (isCompared && revisions.isEqual && this.#auditsSinceListing < AUDITS_PER_LISTING)
      return emptyTotals();
    const { era } = revisions;
    // Aged before the listings are asked for: what is older than this charon must not look younger.
    const { charon } = deletions;
    const touched = pipeline.startTouchLog();
    try {
      const comparison = await this.#compare(ground, touched);
      if (comparison === undefined) return undefined;
      this.#note(comparison);
      const withheld = deletions.judge({ comparison, charon, ignored: touched });
      const summary = await this.#repair(comparison, withheld, ground, touched);
      if (summary !== undefined && isEqual(comparison)) revisions.foundEqual(era);
      return summary;
    } finally {
      pipeline.endTouchLog(touched);
    }
  }

  /** What would be sent, and what would have to be rekeyed. */
  plan(
    comparison: Comparison,
    withheld: Withheld,
    { bootId, takesReplayState }: DataplaneCapabilities,
  ): RepairPlan {
    const { clock, lastKnown, expired, backOffs } = this.#options;
    return planRepair({
      ...{ comparison, withheld, takesReplayState, lastKnown },
      expired: expired.current(clock.now()),
      order: this.#comparedBootId === bootId ? 'make-before-break' : 'policies-first',
      isWaiting: (key) => backOffs.isWaiting(key, clock.now()),
    });
  }

  async #compare(
    { capabilities, isCurrent, signal }: CycleGround,
    touched: ReadonlySet<string>,
  ): Promise<Comparison | undefined> {
    const { dataplane, random, desired } = this.#options;
    const comparison = await compare({
      ...{ dataplane, random, desired, signal },
      ignored: touched,
      settle: (listings) => {
        if (isCurrent()) this.#settleUnknown(listings);
      },
    });
    if (!isCurrent()) return undefined;
    if (comparison.bootId !== capabilities.bootId) {
      throw new AgentError('the dataplane has booted', { code: 'unavailable', retryable: true });
    }
    return comparison;
  }

  #settleUnknown(listings: Listings): void {
    const { pipeline, desired } = this.#options;
    if (pipeline.unknownCount === 0) return;
    pipeline.settleUnknown(readBack(listings, desired), 'the dataplane gave no answer, and did not do it');
  }

  #note(comparison: Comparison): void {
    const { clock, lastKnown, desired, rekeys, journal } = this.#options;
    lastKnown.note(
      comparison.actualSas.map(({ usage }) => usage),
      clock.now(),
    );
    lastKnown.keepOnly(desired.sas);
    for (const [key, { fields }] of comparison.sas.different) {
      // What was read is another key's.
      if (fields.includes('key')) lastKnown.forget(key);
    }
    rekeys.keepOnly(desired.sas);
    noteComparison(journal, comparison, desired.sas);
  }

  async #repair(
    comparison: Comparison,
    withheld: Withheld,
    { capabilities, isCurrent, onCompared }: CycleGround,
    touched: ReadonlySet<string>,
  ): Promise<CycleSummary | undefined> {
    const { pipeline, backOffs, lastKnown, rekeys } = this.#options;
    const repair = this.plan(comparison, withheld, capabilities);
    // Of what requests touched meanwhile the comparison does not tell.
    backOffs.keepOnly((key) => repair.keys.has(key) || touched.has(key));
    const summary = await pipeline.run(repair.operations, touched);
    if (!isCurrent()) return undefined;
    this.#auditsSinceListing = 0;
    this.#comparedBootId = capabilities.bootId;
    onCompared();
    // Not before charon's requests are answered again: its rekey is one of them.
    const lost = repair.lost.filter((id) => !touched.has(saKey(id)));
    rekeys.setLost(lastKnown.mostRecentlyUsedFirst(lost));
    return summary;
  }
}
