import { type SaKey, type SecurityAssociation, type SecurityPolicy, type Spi, saKey } from '../sad/index.ts';
import { AgentError } from '../util/index.ts';
import { BackOffs, backOffMs } from './back-off.ts';
import { BackgroundTasks } from './background-tasks.ts';
import { type Comparison, compare, isEqual, type Listings } from './comparison.ts';
import { ComparisonLoop } from './comparison-loop.ts';
import { DeletionGuard } from './deletion-guard.ts';
import type { Withheld } from './deletions.ts';
import { DesiredState } from './desired-state.ts';
import type { DryRun } from './dry-run.ts';
import { ExpiredSas } from './expired-sas.ts';
import { InitiateRequests } from './initiate-requests.ts';
import { Inspection } from './inspection.ts';
import { type Jitter, jitter } from './jitter.ts';
import { noteComparison, noteEvent, noteSnapshot } from './journal-notes.ts';
import { LastKnownUsage } from './last-known-usage.ts';
import { INITIAL_LINK, type LinkEvent, type LinkState, nextLink } from './link-state.ts';
import { Pipeline } from './pipeline.ts';
import { emptyTotals } from './plan-run.ts';
import type { CallOptions, ChildSaName, DataplaneCapabilities, DataplaneEvent } from './ports.ts';
import { readBack } from './read-back.ts';
import { isSameReadiness, obstacleOf, readinessOf } from './readiness.ts';
import { RekeyRequests } from './rekey-requests.ts';
import { planRepair, type RepairPlan } from './repair.ts';
import type {
  DesiredSnapshot,
  Readiness,
  SetupFailure,
  SyncAnswer,
  SyncChange,
  SyncRequest,
} from './requests.ts';
import { checkRevision, RevisionWatch } from './revision-watch.ts';
import { SaJournal } from './sa-journal.ts';
import type { SaStory } from './sa-story.ts';
import { overSoftLimit } from './soft-limits.ts';
import { SpiStock } from './spi-stock.ts';
import type { CycleSummary, SyncDiff, SyncStatus } from './status.ts';
import {
  ACQUIRE_BACK_OFF,
  AUDITS_PER_LISTING,
  BACK_OFF_SPREAD,
  BRAKE,
  INITIATION,
  INTERVAL_SPREAD,
  REKEYING,
  REPAIR_BACK_OFF,
  type SyncEngineOptions,
  WITNESS_BACK_OFF,
  WITNESS_SPACING_MS,
} from './sync-engine-options.ts';
import { pollUsage } from './usage-poller.ts';
import { tryAgain } from './waiting-requests.ts';

/**
 * Keeps a dataplane equal to what charon negotiated; docs/design/sync.md holds its
 * invariants. Requests go through the pipeline at once; comparisons run beside it.
 */
export class SyncEngine implements AsyncDisposable {
  readonly #options: SyncEngineOptions;
  readonly #jitter: Jitter;
  readonly #tasks = new BackgroundTasks();
  readonly #desired = new DesiredState();
  readonly #lastKnown = new LastKnownUsage();
  readonly #revisions = new RevisionWatch();
  readonly #backOffs: BackOffs;
  readonly #deletions: DeletionGuard;
  readonly #journal: SaJournal;
  readonly #pipeline: Pipeline;
  readonly #spis: SpiStock;
  readonly #rekeys: RekeyRequests;
  readonly #initiations: InitiateRequests;
  readonly #comparisons: ComparisonLoop;
  readonly #inspection: Inspection;
  readonly #expired = new ExpiredSas();
  #link: LinkState = INITIAL_LINK;
  #charonInstanceId = '';
  #acquireFailure: string | undefined;
  /**
   * How often the writer's role may be taken back: a call that got no answer, ours or that of the
   * agent before us, may arrive late and fence whoever has it by then.
   */
  #retakes = 0;
  #isCompared = false;
  #snapshots = 0;
  /** Another one when charon, or the dataplane, knows nothing of earlier readings of counters. */
  #usageGround = {};
  #comparedBootId: string | undefined;
  /** The one that lists and compares everything comes after so many that need not. */
  #auditsSinceListing = 0;
  #readiness: Readiness = { kind: 'not-ready', reason: 'not started yet' };

  constructor(options: SyncEngineOptions) {
    this.#options = options;
    const { clock, logger, tunnels, dataplane, random } = options;
    const tasks = this.#tasks;
    this.#jitter = jitter(random, BACK_OFF_SPREAD);
    const repairBackOff = { ...REPAIR_BACK_OFF, jitter: this.#jitter };
    this.#backOffs = new BackOffs(repairBackOff);
    this.#deletions = new DeletionGuard({
      ...{ tunnels, clock, tasks, logger },
      brake: options.brake ?? BRAKE,
      backOff: { ...WITNESS_BACK_OFF, jitter: this.#jitter },
      spacingMs: WITNESS_SPACING_MS,
      desired: () => [...this.#desired.sas.values()].map(({ id }) => id),
      onReleased: () => this.#comparisons.want(),
    });
    this.#journal = new SaJournal({ clock });
    this.#comparisons = new ComparisonLoop({
      ...{ clock, tasks, logger },
      backOff: repairBackOff,
      intervalMs: options.auditIntervalMs ?? 30_000,
      intervalJitter: jitter(random, INTERVAL_SPREAD),
      obstacle: () => (this.#link.kind === 'up' ? undefined : (this.#obstacle() ?? 'reading back')),
      cycle: (signal) => this.#cycle(signal),
      onFailure: (reason) => this.#pipeline.failUnknown(reason),
    });
    this.#rekeys = new RekeyRequests({
      ...{ tunnels, clock, tasks, logger },
      // Without jitter: both SAs of a CHILD_SA are due at once, and it is rekeyed once.
      ...REKEYING,
      onAsked: (key, child) => this.#journal.note(key, 'rekey-asked', `${child.name}{${child.childId}}`),
    });
    this.#initiations = new InitiateRequests({
      ...{ tunnels, clock, tasks, logger, jitter: this.#jitter },
      ...INITIATION,
      isEnabled: () => this.#readiness.kind === 'ready',
    });
    this.#pipeline = new Pipeline({
      ...{ dataplane, clock, tasks, logger },
      desired: this.#desired,
      backOffs: this.#backOffs,
      journal: this.#journal,
      revisions: this.#revisions,
      applyDeadlineMs: options.applyDeadlineMs ?? 1_000,
      maxWaiting: options.maxWaiting ?? 4_096,
      backgroundBatch: options.backgroundBatch ?? 128,
      hooks: {
        ambiguous: (reason) => this.#onAmbiguous(reason),
        fenced: (reason) => this.#onFenced(reason),
        suspect: () => this.#comparisons.want(),
        failed: (notBeforeMs) => this.#comparisons.wantAt(notBeforeMs),
        refused: ({ work }, answer) => logger.warn({ request: work.kind, answer }, 'request refused'),
        left: (key) => this.#forget(key),
      },
    });
    this.#inspection = new Inspection({
      ...{ dataplane, clock, random: options.random, journal: this.#journal },
      ...{ desired: this.#desired, pipeline: this.#pipeline, backOffs: this.#backOffs },
      ...{ rekeys: this.#rekeys, expired: this.#expired },
      link: () => this.#link,
      obstacle: () => this.#obstacle(),
      deletions: this.#deletions,
      planRepair: (...plan) => this.#planRepair(...plan),
    });
    this.#spis = new SpiStock({
      clock,
      tasks,
      reserve: (request, signal) => this.#pipeline.submit(request, signal),
    });
    const { usageIntervalMs: intervalMs = 1_000 } = options;
    if (intervalMs === 0) return;
    tasks.spawn((signal) =>
      pollUsage(
        {
          ...{ dataplane, clock, intervalMs },
          ground: () => (this.#link.kind === 'up' ? this.#usageGround : undefined),
          onUsage: (usage) => {
            this.#lastKnown.note(usage.usages, clock.now());
            options.onUsage?.({ ...usage, overSoftLimit: overSoftLimit(usage.usages, this.#desired.sas) });
          },
        },
        { signal },
      ),
    );
  }

  /**
   * Takes a complete snapshot. Requests of before are void; the engine owns the snapshot's keys.
   *
   * @param charonStartedMs on the clock's scale; undefined when charon does not tell
   */
  replaceDesired(snapshot: DesiredSnapshot, charonInstanceId: string, charonStartedMs?: number): void {
    if (charonInstanceId !== this.#charonInstanceId) this.#initiations.clear();
    this.#charonInstanceId = charonInstanceId;
    this.#snapshots += 1;
    this.#usageGround = {};
    this.#pipeline.startGeneration('charon sent a new snapshot');
    this.#deletions.onSnapshot(charonInstanceId, charonStartedMs);
    this.#desired.replace(snapshot);
    noteSnapshot(this.#journal, this.#desired.sas);
    this.#lastKnown.keepOnly(this.#desired.sas);
    this.#rekeys.keepOnly(this.#desired.sas);
    this.#expired.keepOnly(this.#desired.sas);
    this.#isCompared = false;
    this.#step({ kind: 'snapshot' });
    if (this.#link.kind === 'up') {
      this.#openPipeline(this.#link.capabilities);
      this.#comparisons.want();
    }
  }

  /**
   * Asks the dataplane at once, ahead of any repair, and answers from that alone. A caller
   * who stops waiting has to send the matching deletion, except by `signal` while the
   * request has not been sent.
   */
  handle(request: SyncRequest, { signal }: CallOptions = {}): Promise<SyncAnswer> {
    this.#deletions.onRequest(request);
    if (this.#link.kind === 'up' && request.kind === 'reserve-spi') return this.#spis.take(request, signal);
    if (this.#link.kind === 'up' || (this.#link.kind === 'acquiring' && this.#acquireFailure === undefined)) {
      return this.#pipeline.submit(request, signal);
    }
    if (request.kind === 'add-sa') this.#desired.discard(request.sa);
    return Promise.resolve(tryAgain(this.#obstacle() ?? 'not connected'));
  }

  /** Follows what charon has done, in order with requests. */
  change(change: SyncChange): void {
    this.#deletions.onChange(change, this.#desired.sas.keys());
    this.#pipeline.push(change);
  }

  /** A CHILD_SA is not there that charon wanted: when that may pass, charon is asked to initiate it again. */
  setupFailed(name: ChildSaName, { isPassing, reason }: SetupFailure): void {
    if (isPassing) this.#initiations.want(name, reason);
    else this.#initiations.refuse(name, reason);
  }

  /** The dataplane answers, for the first time or again. */
  dataplaneUp(capabilities: DataplaneCapabilities): void {
    this.#isCompared = false;
    this.#retakes = 1;
    this.#pipeline.close();
    this.#spis.clear();
    this.#step({ kind: 'dataplane-up', capabilities });
  }

  dataplaneDown(reason: string): void {
    this.#isCompared = false;
    this.#pipeline.close();
    this.#spis.clear();
    this.#step({ kind: 'dataplane-down', reason });
    this.#pipeline.failAwaited(reason);
    this.#comparisons.failAudits(reason);
  }

  /** Notes what the dataplane tells of its SAs; other events are the key feed's. */
  dataplaneEvent(event: DataplaneEvent): void {
    noteEvent(this.#journal, event);
    if (event.kind === 'gap') {
      this.#revisions.doubt();
      this.#comparisons.want();
    }
    if (event.kind === 'sequence-overflow' && this.#desired.sas.has(saKey(event.id))) {
      this.#rekeys.want(event.id, 'sequence-overflow');
    }
    if (event.kind === 'expire' && event.isHard) {
      const key = saKey(event.id);
      this.#lastKnown.forget(key);
      if (!this.#desired.sas.has(key)) return;
      this.#comparisons.wantAt(this.#expired.note(key, this.#options.clock.now()));
    }
  }

  /**
   * Compares with the dataplane and repairs what differs.
   *
   * @throws AgentError when the dataplane cannot be listed
   */
  audit(options?: CallOptions): Promise<CycleSummary> {
    this.#revisions.doubt();
    return this.#comparisons.audit(options);
  }

  /**
   * Compares and changes nothing.
   *
   * @throws AgentError when there is no snapshot yet, or the dataplane cannot be listed
   */
  diff(options?: CallOptions): Promise<SyncDiff> {
    return this.#inspection.diff(options);
  }

  /** The same, with what a repair would do about it now. */
  plan(options?: CallOptions): Promise<DryRun> {
    return this.#inspection.plan(options);
  }

  /** What is known here of every SA with this SPI, without a question to anybody. */
  explain(spi: Spi): readonly SaStory[] {
    return this.#inspection.explain(spi);
  }

  /** What charon was told exists; printing it shows no key. */
  desired(): { readonly sas: readonly SecurityAssociation[]; readonly policies: readonly SecurityPolicy[] } {
    const policies = [...this.#desired.policies.policies()].map(([, policy]) => policy);
    return { sas: [...this.#desired.sas.values()], policies };
  }

  get readiness(): Readiness {
    return this.#readiness;
  }

  status(): SyncStatus {
    const { foreign, braked } = this.#deletions.withheld;
    const repairs = this.#backOffs.entries.map(({ key, attempts, reason }) => ({ key, attempts, reason }));
    const rekeys = this.#rekeys.wanted;
    return {
      link: this.#link.kind,
      reason: this.#readiness.kind === 'ready' ? undefined : this.#readiness.reason,
      isInSync:
        this.#isCompared &&
        repairs.length + rekeys.length + foreign.size + braked.size + this.#expired.size === 0 &&
        this.#pipeline.unknownCount === 0,
      bootId: this.#link.kind === 'down' ? undefined : this.#link.capabilities.bootId,
      charonInstanceId: this.#charonInstanceId === '' ? undefined : this.#charonInstanceId,
      desiredSas: this.#desired.sas.size,
      desiredPolicies: this.#desired.policies.size,
      forwardPolicies: this.#desired.policies.forwardCount,
      waitingRequests: this.#pipeline.waitingCount,
      repairs,
      rekeys,
      withheld: { foreign: [...foreign], braked: [...braked] },
      setups: this.#initiations.waiting,
      lastCycle: this.#comparisons.last,
      lastCycleMs: this.#comparisons.lastDurationMs,
      nextCycleInMs: this.#comparisons.nextMs - this.#options.clock.now(),
      cycleSums: this.#comparisons.sums,
      counters: {
        ...this.#pipeline.totals,
        cycles: this.#comparisons.cycles,
        rekeysAsked: this.#rekeys.asked,
        initiationsAsked: this.#initiations.asked,
      },
    };
  }

  /** Answers everybody who waits and stops. The dataplane keeps what it has. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dataplaneDown('the agent is stopping');
    await this.#tasks[Symbol.asyncDispose]();
    this.#desired.replace({ sas: [], policyUsers: [] });
  }

  #step(event: LinkEvent): void {
    const previous = this.#link;
    this.#link = nextLink(previous, event);
    if (this.#link !== previous) this.#usageGround = {};
    if (this.#link !== previous && this.#link.kind === 'acquiring') {
      this.#acquireFailure = undefined;
      const link = this.#link;
      this.#tasks.spawn((signal) => this.#acquire(link, signal));
    }
    this.#publishReadiness();
  }

  /** Takes the writer's role, which fences whatever we sent before and never got an answer to. */
  async #acquire(link: LinkState & { kind: 'acquiring' }, signal: AbortSignal): Promise<void> {
    const { dataplane, clock, logger } = this.#options;
    for (let attempts = 1; this.#link === link; attempts += 1) {
      try {
        await dataplane.acquireWriter({ signal });
        if (this.#link !== link) return;
        this.#step({ kind: 'acquired' });
        this.#openPipeline(link.capabilities);
        this.#comparisons.want();
        return;
      } catch (error) {
        if (!(error instanceof AgentError) || signal.aborted) throw error;
        this.#retakes += 1;
        if (this.#link !== link) return;
        if (attempts === 1) logger.warn({ error: error.message }, 'cannot take the writer role, will retry');
        this.#acquireFailure = error.message;
        this.#pipeline.failAwaited(error.message);
        this.#publishReadiness();
        await clock.sleep(backOffMs(attempts, { ...ACQUIRE_BACK_OFF, jitter: this.#jitter }), { signal });
      }
    }
  }

  #openPipeline({ maxBatch }: DataplaneCapabilities): void {
    this.#pipeline.open({ maxBatch, charonInstanceId: this.#charonInstanceId });
  }

  #onAmbiguous(reason: string): void {
    this.#options.logger.warn({ reason }, 'no answer from the dataplane, reading back');
    this.#pipeline.close();
    this.#step({ kind: 'ambiguous' });
    // The connection may have been reported lost before the batch's answer was given up.
    if (this.#link.kind !== 'acquiring') this.#pipeline.failUnknown(reason);
  }

  #onFenced(reason: string): void {
    if (this.#retakes > 0) {
      this.#retakes -= 1;
      this.#options.logger.warn({ reason }, 'fenced, maybe by a late call: taking the writer role back');
      this.#pipeline.close();
      this.#step({ kind: 'ambiguous' });
      return;
    }
    this.#options.logger.error({ reason }, 'another agent took the writer role; stop one of them');
    this.#isCompared = false;
    this.#pipeline.close();
    this.#step({ kind: 'fenced', reason });
    this.#pipeline.failAwaited(reason);
    this.#comparisons.failAudits(reason);
  }

  #retryLater(): void {
    const dueMs = Math.min(this.#backOffs.nextDueMs, this.#expired.nextEndMs);
    if (Number.isFinite(dueMs)) this.#comparisons.wantAt(dueMs);
  }

  #forget(key: SaKey): void {
    this.#lastKnown.forget(key);
    this.#expired.forget(key);
    this.#rekeys.drop(key);
  }

  /** Compares once and repairs what differs; ends early when the ground it stands on changes. */
  async #cycle(signal: AbortSignal): Promise<CycleSummary | undefined> {
    const { dataplane, random } = this.#options;
    const link = this.#link;
    const snapshot = this.#snapshots;
    if (link.kind !== 'up') return undefined;
    const { bootId } = link.capabilities;
    const isCurrent = (): boolean => this.#link === link && this.#snapshots === snapshot;
    await checkRevision(this.#revisions, { dataplane, pipeline: this.#pipeline, signal });
    if (!isCurrent()) return undefined;
    this.#auditsSinceListing += 1;
    if (this.#revisions.isEqual && this.#auditsSinceListing < AUDITS_PER_LISTING) return emptyTotals();
    const { era } = this.#revisions;
    // Aged before the listings are asked for: what is older than this charon must not look younger.
    const { charon } = this.#deletions;
    const touched = this.#pipeline.startTouchLog();
    try {
      const comparison = await compare({
        ...{ dataplane, random, signal },
        desired: this.#desired,
        ignored: touched,
        settle: (listings) => {
          if (isCurrent()) this.#settleUnknown(listings);
        },
      });
      if (!isCurrent()) return undefined;
      if (comparison.bootId !== bootId) {
        throw new AgentError('the dataplane has booted', { code: 'unavailable', retryable: true });
      }
      this.#lastKnown.note(
        comparison.actualSas.map(({ usage }) => usage),
        this.#options.clock.now(),
      );
      this.#lastKnown.keepOnly(this.#desired.sas);
      for (const [key, { fields }] of comparison.sas.different) {
        // What was read is another key's.
        if (fields.includes('key')) this.#lastKnown.forget(key);
      }
      this.#rekeys.keepOnly(this.#desired.sas);
      const withheld = this.#deletions.judge({ comparison, charon, ignored: touched });
      noteComparison(this.#journal, comparison, this.#desired.sas);
      const repair = this.#planRepair(comparison, withheld, link.capabilities);
      this.#backOffs.keepOnly(repair.keys);
      const summary = await this.#pipeline.run(repair.operations, touched);
      if (!isCurrent()) return undefined;
      if (isEqual(comparison)) this.#revisions.foundEqual(era);
      this.#auditsSinceListing = 0;
      this.#onCompared(bootId);
      // Not before charon's requests are answered again: its rekey is one of them.
      const lost = repair.lost.filter((id) => !touched.has(saKey(id)));
      this.#rekeys.setLost(this.#lastKnown.mostRecentlyUsedFirst(lost));
      return summary;
    } finally {
      this.#pipeline.endTouchLog(touched);
    }
  }

  #planRepair(
    comparison: Comparison,
    withheld: Withheld,
    { bootId, takesReplayState }: DataplaneCapabilities,
  ): RepairPlan {
    return planRepair({
      ...{ comparison, withheld, takesReplayState },
      lastKnown: this.#lastKnown,
      expired: this.#expired.current(this.#options.clock.now()),
      order: this.#comparedBootId === bootId ? 'make-before-break' : 'policies-first',
      isWaiting: (key) => this.#backOffs.isWaiting(key, this.#options.clock.now()),
    });
  }

  #settleUnknown(listings: Listings): void {
    if (this.#pipeline.unknownCount === 0) return;
    this.#pipeline.settleUnknown(
      readBack(listings, this.#desired),
      'the dataplane gave no answer, and did not do it',
    );
  }

  #onCompared(bootId: string): void {
    this.#comparedBootId = bootId;
    this.#isCompared = true;
    this.#publishReadiness();
    this.#retryLater();
  }

  #obstacle(): string | undefined {
    return obstacleOf({
      link: this.#link,
      acquireFailure: this.#acquireFailure,
      isCompared: this.#isCompared,
    });
  }

  #publishReadiness(): void {
    const readiness = readinessOf({
      link: this.#link,
      acquireFailure: this.#acquireFailure,
      isCompared: this.#isCompared,
    });
    if (isSameReadiness(readiness, this.#readiness)) return;
    this.#readiness = readiness;
    this.#options.logger.info({ readiness }, 'readiness changed');
    this.#options.onReadiness?.(readiness);
    if (readiness.kind === 'ready') this.#initiations.wake();
  }
}
