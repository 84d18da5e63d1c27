import { type SaKey, type SecurityAssociation, type SecurityPolicy, saKey } from '../sad/index.ts';
import { AgentError } from '../util/index.ts';
import { BackOffs, backOffMs } from './back-off.ts';
import { BackgroundTasks } from './background-tasks.ts';
import { compare, type Listings, toSyncDiff } from './comparison.ts';
import { ComparisonLoop } from './comparison-loop.ts';
import { DesiredState } from './desired-state.ts';
import { ExpiredSas } from './expired-sas.ts';
import { LastKnownUsage } from './last-known-usage.ts';
import { INITIAL_LINK, type LinkEvent, type LinkState, nextLink } from './link-state.ts';
import { Pipeline } from './pipeline.ts';
import type { CallOptions, DataplaneCapabilities, DataplaneEvent } from './ports.ts';
import { readBack } from './read-back.ts';
import { isSameReadiness, obstacleOf, readinessOf } from './readiness.ts';
import { RekeyRequests } from './rekey-requests.ts';
import { planRepair } from './repair.ts';
import type { DesiredSnapshot, Readiness, SyncAnswer, SyncChange, SyncRequest } from './requests.ts';
import { SpiStock } from './spi-stock.ts';
import type { CycleSummary, SyncDiff, SyncStatus } from './status.ts';
import {
  ACQUIRE_BACK_OFF,
  REKEY_BACK_OFF,
  REKEY_SPACING_MS,
  REPAIR_BACK_OFF,
  type SyncEngineOptions,
} from './sync-engine-options.ts';
import { pollUsage } from './usage-poller.ts';
import { tryAgain } from './waiting-requests.ts';

/**
 * Keeps a dataplane equal to what charon negotiated; docs/design/sync.md holds its
 * invariants. Requests go through the pipeline at once; comparisons run beside it.
 */
export class SyncEngine implements AsyncDisposable {
  readonly #options: SyncEngineOptions;
  readonly #tasks = new BackgroundTasks();
  readonly #desired = new DesiredState();
  readonly #lastKnown = new LastKnownUsage();
  readonly #backOffs = new BackOffs(REPAIR_BACK_OFF);
  readonly #pipeline: Pipeline;
  readonly #spis: SpiStock;
  readonly #rekeys: RekeyRequests;
  readonly #comparisons: ComparisonLoop;
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
  #comparedBootId: string | undefined;
  #readiness: Readiness = { kind: 'not-ready', reason: 'not started yet' };

  constructor(options: SyncEngineOptions) {
    this.#options = options;
    const { clock, logger, tunnels, dataplane } = options;
    const tasks = this.#tasks;
    this.#comparisons = new ComparisonLoop({
      ...{ clock, tasks, logger },
      backOff: REPAIR_BACK_OFF,
      intervalMs: options.auditIntervalMs ?? 30_000,
      obstacle: () => (this.#link.kind === 'up' ? undefined : (this.#obstacle() ?? 'reading back')),
      cycle: (signal) => this.#cycle(signal),
      onFailure: (reason) => this.#pipeline.failUnknown(reason),
    });
    this.#rekeys = new RekeyRequests({
      ...{ tunnels, clock, tasks, logger },
      backOff: REKEY_BACK_OFF,
      spacingMs: REKEY_SPACING_MS,
    });
    this.#pipeline = new Pipeline({
      ...{ dataplane, clock, tasks, logger },
      desired: this.#desired,
      backOffs: this.#backOffs,
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
          isEnabled: () => this.#link.kind === 'up',
          onUsage: (usage) => {
            this.#lastKnown.note(usage.usages);
            options.onUsage?.(usage);
          },
        },
        { signal },
      ),
    );
  }

  /** Takes a complete snapshot. Requests of before are void; the engine owns the snapshot's keys. */
  replaceDesired(snapshot: DesiredSnapshot, charonInstanceId: string): void {
    this.#charonInstanceId = charonInstanceId;
    this.#snapshots += 1;
    this.#pipeline.startGeneration('charon sent a new snapshot');
    this.#desired.replace(snapshot);
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
    if (this.#link.kind === 'up' && request.kind === 'reserve-spi') return this.#spis.take(request, signal);
    if (this.#link.kind === 'up' || (this.#link.kind === 'acquiring' && this.#acquireFailure === undefined)) {
      return this.#pipeline.submit(request, signal);
    }
    if (request.kind === 'add-sa') this.#desired.discard(request.sa);
    return Promise.resolve(tryAgain(this.#obstacle() ?? 'not connected'));
  }

  /** Follows what charon has done, in order with requests. */
  change(change: SyncChange): void {
    this.#pipeline.push(change);
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
    if (event.kind === 'gap') this.#comparisons.want();
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
    return this.#comparisons.audit(options);
  }

  /**
   * Compares and changes nothing.
   *
   * @throws AgentError when there is no snapshot yet, or the dataplane cannot be listed
   */
  async diff({ signal }: CallOptions = {}): Promise<SyncDiff> {
    if (this.#link.kind === 'down' || this.#link.kind === 'no-snapshot') {
      throw new AgentError(`cannot compare: ${this.#obstacle()}`, {
        code: 'unavailable',
        retryable: true,
      });
    }
    const { dataplane, random } = this.#options;
    const ignored = this.#pipeline.startTouchLog();
    try {
      const { sas, policies } = await compare({
        ...{ dataplane, random, signal, ignored },
        desired: this.#desired,
      });
      return toSyncDiff({ sas, policies });
    } finally {
      this.#pipeline.endTouchLog(ignored);
    }
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
    const repairs = this.#backOffs.entries.map(({ key, attempts, reason }) => ({ key, attempts, reason }));
    const rekeys = this.#rekeys.wanted;
    return {
      link: this.#link.kind,
      reason: this.#readiness.kind === 'ready' ? undefined : this.#readiness.reason,
      isInSync:
        this.#isCompared &&
        repairs.length + rekeys.length + this.#expired.size + this.#pipeline.unknownCount === 0,
      bootId: this.#link.kind === 'down' ? undefined : this.#link.capabilities.bootId,
      charonInstanceId: this.#charonInstanceId === '' ? undefined : this.#charonInstanceId,
      desiredSas: this.#desired.sas.size,
      desiredPolicies: this.#desired.policies.size,
      forwardPolicies: this.#desired.policies.forwardCount,
      waitingRequests: this.#pipeline.waitingCount,
      repairs,
      rekeys,
      lastCycle: this.#comparisons.last,
      counters: {
        ...this.#pipeline.totals,
        cycles: this.#comparisons.cycles,
        rekeysAsked: this.#rekeys.asked,
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
        await clock.sleep(backOffMs(attempts, ACQUIRE_BACK_OFF), { signal });
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
    const { dataplane, random, clock } = this.#options;
    const link = this.#link;
    const snapshot = this.#snapshots;
    if (link.kind !== 'up') return undefined;
    const { bootId, takesReplayState } = link.capabilities;
    const isCurrent = (): boolean => this.#link === link && this.#snapshots === snapshot;
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
      this.#lastKnown.note(comparison.actualSas.map(({ usage }) => usage));
      this.#lastKnown.keepOnly(this.#desired.sas);
      for (const [key, { fields }] of comparison.sas.different) {
        // What was read is another key's.
        if (fields.includes('key')) this.#lastKnown.forget(key);
      }
      this.#rekeys.keepOnly(this.#desired.sas);
      const repair = planRepair({
        ...{ comparison, takesReplayState },
        lastKnown: this.#lastKnown,
        expired: this.#expired.current(clock.now()),
        order: this.#comparedBootId === bootId ? 'make-before-break' : 'policies-first',
        isWaiting: (key) => this.#backOffs.isWaiting(key, clock.now()),
      });
      this.#backOffs.keepOnly(repair.keys);
      const summary = await this.#pipeline.run(repair.operations, touched);
      if (!isCurrent()) return undefined;
      this.#onCompared(bootId);
      // Not before charon's requests are answered again: its rekey is one of them.
      this.#rekeys.setLost(repair.lost.filter((id) => !touched.has(saKey(id))));
      return summary;
    } finally {
      this.#pipeline.endTouchLog(touched);
    }
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
  }
}
