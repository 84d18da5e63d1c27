import { type SaKey, type SecurityAssociation, type SecurityPolicy, type Spi, saKey } from '../sad/index.ts';
import { BackOffs } from './back-off.ts';
import { BackgroundTasks } from './background-tasks.ts';
import { ComparisonLoop } from './comparison-loop.ts';
import { DeletionGuard } from './deletion-guard.ts';
import { DesiredState } from './desired-state.ts';
import type { DryRun } from './dry-run.ts';
import { ExpiredSas } from './expired-sas.ts';
import { InSyncReport } from './in-sync-report.ts';
import { InitiateRequests } from './initiate-requests.ts';
import { Inspection } from './inspection.ts';
import { type Jitter, jitter } from './jitter.ts';
import { noteEvent, noteSnapshot } from './journal-notes.ts';
import { LastKnownUsage } from './last-known-usage.ts';
import { INITIAL_LINK, type LinkEvent, type LinkState, nextLink } from './link-state.ts';
import { Pipeline } from './pipeline.ts';
import type { CallOptions, ChildSaName, DataplaneCapabilities, DataplaneEvent } from './ports.ts';
import { isSameReadiness, obstacleOf, readinessOf } from './readiness.ts';
import { RekeyRequests } from './rekey-requests.ts';
import { RepairCycle } from './repair-cycle.ts';
import type {
  DesiredSnapshot,
  Readiness,
  SetupFailure,
  SyncAnswer,
  SyncChange,
  SyncRequest,
} from './requests.ts';
import { RevisionWatch } from './revision-watch.ts';
import { SaJournal } from './sa-journal.ts';
import type { SaStory } from './sa-story.ts';
import { overSoftLimit } from './soft-limits.ts';
import { SpiStock } from './spi-stock.ts';
import type { CycleSummary, SyncDiff, SyncStatus } from './status.ts';
import {
  ACQUIRE_BACK_OFF,
  BACK_OFF_SPREAD,
  BRAKE,
  DEADLINE_LATENCIES,
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
import { WriterRole } from './writer-role.ts';

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
  readonly #role: WriterRole;
  readonly #pipeline: Pipeline;
  readonly #spis: SpiStock;
  readonly #rekeys: RekeyRequests;
  readonly #initiations: InitiateRequests;
  readonly #comparisons: ComparisonLoop;
  readonly #cycle: RepairCycle;
  readonly #inspection: Inspection;
  readonly #inSync: InSyncReport;
  readonly #expired = new ExpiredSas();
  #link: LinkState = INITIAL_LINK;
  #charonInstanceId = '';
  #isCompared = false;
  #snapshots = 0;
  /** Another one when charon, or the dataplane, knows nothing of earlier readings of counters. */
  #usageGround = {};
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
    this.#role = new WriterRole({
      ...{ dataplane, clock, logger },
      backOff: { ...ACQUIRE_BACK_OFF, jitter: this.#jitter },
    });
    this.#journal = new SaJournal({ clock });
    this.#inSync = new InSyncReport(dataplane);
    this.#comparisons = new ComparisonLoop({
      ...{ clock, tasks, logger },
      backOff: repairBackOff,
      intervalMs: options.auditIntervalMs ?? 30_000,
      intervalJitter: jitter(random, INTERVAL_SPREAD),
      obstacle: () => (this.#link.kind === 'up' ? undefined : (this.#obstacle() ?? 'reading back')),
      cycle: (signal) => this.#runCycle(signal),
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
    this.#cycle = new RepairCycle({
      ...{ dataplane, clock, random, journal: this.#journal, revisions: this.#revisions },
      ...{ desired: this.#desired, pipeline: this.#pipeline, backOffs: this.#backOffs },
      ...{ rekeys: this.#rekeys, expired: this.#expired },
      ...{ deletions: this.#deletions, lastKnown: this.#lastKnown },
    });
    this.#inspection = new Inspection({
      ...{ dataplane, clock, random: options.random, journal: this.#journal },
      ...{ desired: this.#desired, pipeline: this.#pipeline, backOffs: this.#backOffs },
      ...{ rekeys: this.#rekeys, initiations: this.#initiations, expired: this.#expired },
      comparisons: this.#comparisons,
      link: () => this.#link,
      obstacle: () => this.#obstacle(),
      deletions: this.#deletions,
      planRepair: (...plan) => this.#cycle.plan(...plan),
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
    if (
      this.#link.kind === 'up' &&
      request.kind === 'reserve-spi' &&
      !this.#link.capabilities.hasScarceSpis
    ) {
      return this.#spis.take(request, signal);
    }
    if (this.#link.kind === 'up' || (this.#link.kind === 'acquiring' && this.#role.failure === undefined)) {
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
    this.#role.connected();
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
    return this.#inspection.status({
      link: this.#link,
      reason: this.#readiness.kind === 'ready' ? undefined : this.#readiness.reason,
      isCompared: this.#isCompared,
      charonInstanceId: this.#charonInstanceId,
    });
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
      const link = this.#link;
      this.#tasks.spawn((signal) => this.#acquire(link, signal));
    }
    this.#publishReadiness();
  }

  async #acquire(link: LinkState & { kind: 'acquiring' }, signal: AbortSignal): Promise<void> {
    const isTaken = await this.#role.take({
      isWanted: () => this.#link === link,
      onFailed: (reason) => {
        this.#pipeline.failAwaited(reason);
        this.#publishReadiness();
      },
      signal,
    });
    if (!isTaken) return;
    this.#step({ kind: 'acquired' });
    this.#openPipeline(link.capabilities);
    this.#comparisons.want();
  }

  #openPipeline({ maxBatch, ackLatencyUs }: DataplaneCapabilities): void {
    const latencyMs = ackLatencyUs / 1_000;
    const deadlineMs = Math.max(this.#options.applyDeadlineMs ?? 1_000, DEADLINE_LATENCIES * latencyMs);
    this.#pipeline.open({ maxBatch, deadlineMs, charonInstanceId: this.#charonInstanceId });
  }

  #onAmbiguous(reason: string): void {
    this.#options.logger.warn({ reason }, 'no answer from the dataplane, reading back');
    this.#pipeline.close();
    this.#step({ kind: 'ambiguous' });
    // The connection may have been reported lost before the batch's answer was given up.
    if (this.#link.kind !== 'acquiring') this.#pipeline.failUnknown(reason);
  }

  #onFenced(reason: string): void {
    if (this.#role.mayTakeBack()) {
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

  async #runCycle(signal: AbortSignal): Promise<CycleSummary | undefined> {
    const link = this.#link;
    const snapshot = this.#snapshots;
    if (link.kind !== 'up') return undefined;
    const summary = await this.#cycle.run({
      ...{ capabilities: link.capabilities, isCompared: this.#isCompared, signal },
      isCurrent: () => this.#link === link && this.#snapshots === snapshot,
      onCompared: () => this.#onCompared(),
    });
    if (summary !== undefined) await this.#inSync.after(summary, link, { signal });
    return summary;
  }

  #onCompared(): void {
    this.#isCompared = true;
    this.#publishReadiness();
    this.#retryLater();
  }

  #obstacle(): string | undefined {
    return obstacleOf({
      link: this.#link,
      acquireFailure: this.#role.failure,
      isCompared: this.#isCompared,
    });
  }

  #publishReadiness(): void {
    const readiness = readinessOf({
      link: this.#link,
      acquireFailure: this.#role.failure,
      isCompared: this.#isCompared,
    });
    if (isSameReadiness(readiness, this.#readiness)) return;
    this.#readiness = readiness;
    this.#options.logger.info({ readiness }, 'readiness changed');
    this.#options.onReadiness?.(readiness);
    if (readiness.kind === 'ready') this.#initiations.wake();
  }
}
