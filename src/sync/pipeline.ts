import { type Operation, operationKeys, type SaKey, saKey } from '../sad/index.ts';
import { assertNever, type Clock, type Logger } from '../util/index.ts';
import type { BackOffs } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { DesiredState } from './desired-state.ts';
import { noteReadBack, noteResult, noteUnanswered } from './journal-notes.ts';
import { countOperation, emptyTotals, PlanRun } from './plan-run.ts';
import type { ApplyOutcome, DataplanePort, OperationResult } from './ports.ts';
import type { SyncAnswer, SyncChange, SyncRequest } from './requests.ts';
import type { RevisionWatch } from './revision-watch.ts';
import type { SaJournal } from './sa-journal.ts';
import type { PendingWork } from './sa-story.ts';
import type { CycleSummary } from './status.ts';
import { tryAgain, WaitingRequests, type WorkItem } from './waiting-requests.ts';
import { accept, complete, isEffective, prepare, workKeys } from './work.ts';

type Entry = {
  readonly operation: Operation;
  readonly item: WorkItem | undefined;
  /** It is not known whether the entry was as it should be: if this is refused, somebody has to look. */
  readonly isUnsettled: boolean;
};

type Batch = {
  readonly entries: readonly Entry[];
  /** The snapshot the entries belong to. */
  readonly generation: number;
  readonly plan: PlanRun | undefined;
  /** A comparison was under way at some moment since it was cut: that left its entries out. */
  isLeftOut: boolean;
};

/** A request whose answer did not come, until a listing tells. */
type UnknownEntry = { readonly operation: Operation; readonly item: WorkItem };

export type PipelineHooks = {
  /** No answer: nothing is sent until `open` is called again. */
  readonly ambiguous: (reason: string) => void;
  readonly fenced: (reason: string) => void;
  /** The dataplane differs from desired in a way only a comparison tells. */
  readonly suspect: () => void;
  /** An operation that nobody waits for failed; it is in the back-offs until then. */
  readonly failed: (notBeforeMs: number) => void;
  readonly refused: (item: WorkItem, answer: SyncAnswer) => void;
  /** An SA left desired. */
  readonly left: (key: SaKey) => void;
};

export type PipelineOptions = {
  readonly dataplane: Pick<DataplanePort, 'apply'>;
  readonly desired: DesiredState;
  readonly backOffs: BackOffs;
  readonly journal: SaJournal;
  readonly revisions: RevisionWatch;
  readonly tasks: BackgroundTasks;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hooks: PipelineHooks;
  readonly maxWaiting: number;
  readonly backgroundBatch: number;
};

/** What a dataplane that answers allows, and whose batches these are. */
export type OpenPipeline = {
  readonly maxBatch: number;
  readonly deadlineMs: number;
  readonly charonInstanceId: string;
};

/**
 * The one ordered stream of batches. At most one is in flight; what comes meanwhile makes
 * up the next one. Requests go first, then the plan of the last comparison. An idle
 * pipeline sends within the call that submits.
 *
 * No entry is in a batch twice, so answers in one batch do not depend on each other.
 */
export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #waiting = new WaitingRequests();
  readonly #totals = { ...emptyTotals(), requests: 0, refused: 0, batches: 0, operations: 0 };
  readonly #touchLogs = new Set<Set<string>>();
  #unknown: UnknownEntry[] = [];
  #inFlight: Batch | undefined;
  #plan: PlanRun | undefined;
  #generation = 0;
  /** Since the last comparison every answer came. */
  #isTrusted = false;
  #open: OpenPipeline | undefined;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  get totals(): CycleSummary & { requests: number; refused: number; batches: number; operations: number } {
    return this.#totals;
  }

  get waitingCount(): number {
    return this.#waiting.awaited;
  }

  /** Nothing is on its way to the dataplane. */
  get isIdle(): boolean {
    return this.#inFlight === undefined;
  }

  get unknownCount(): number {
    return this.#unknown.length;
  }

  /** Sends from now on. */
  open(options: OpenPipeline): void {
    this.#open = options;
    this.#pump();
  }

  /** Keeps everything waiting. The plan is dropped: it rests on a listing of before. */
  close(): void {
    this.#open = undefined;
    this.#distrust();
    this.#plan?.drop();
  }

  submit(request: SyncRequest, signal?: AbortSignal): Promise<SyncAnswer> {
    const { promise, resolve } = Promise.withResolvers<SyncAnswer>();
    this.#totals.requests += 1;
    if (this.#waiting.awaited >= this.#options.maxWaiting) {
      this.#giveUp(
        { work: request, answer: resolve },
        `${this.#waiting.awaited} requests are waiting already`,
      );
      return promise;
    }
    const item: WorkItem = { work: request, answer: resolve };
    if (signal?.aborted) {
      this.#giveUp(item, 'the request was withdrawn');
      return promise;
    }
    const onAbort = (): void => {
      if (this.#waiting.withdraw(item)) this.#giveUp(item, 'the request was withdrawn');
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(item);
    this.#pump();
    return promise.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  push(change: SyncChange): void {
    this.#waiting.push({ work: change, answer: undefined });
    this.#pump();
  }

  /** Every request so far belongs to an earlier snapshot. */
  startGeneration(reason: string): void {
    this.#generation += 1;
    this.#distrust();
    this.#plan?.drop();
    for (const item of this.#waiting.drain(() => true)) this.#giveUp(item, reason);
    this.failUnknown(reason);
  }

  /** Answers those who wait; what nobody waits for stays. */
  failAwaited(reason: string): void {
    for (const item of this.#waiting.drain(({ answer }) => answer !== undefined)) this.#giveUp(item, reason);
    this.failUnknown(reason);
  }

  failUnknown(reason: string): void {
    this.settleUnknown(() => false, reason);
  }

  /** Answers requests whose answer did not come by what is in effect now. */
  settleUnknown(isInEffect: (operation: Operation) => boolean, reason: string): void {
    const unknown = this.#unknown;
    this.#unknown = [];
    for (const { operation, item } of unknown) {
      const isThere = isInEffect(operation);
      noteReadBack(this.#options.journal, operation, isThere);
      if (isThere) {
        accept(item.work, this.#options.desired);
        this.#answer(item, { kind: 'ok' });
      } else {
        this.#giveUp(item, reason);
      }
    }
  }

  /**
   * Which entries requests are about from now on: a listing asked for later may or may not
   * show them. To be given back to `endTouchLog`.
   */
  startTouchLog(): ReadonlySet<string> {
    const log = new Set<string>(this.#inFlight?.entries.flatMap(({ operation }) => operationKeys(operation)));
    if (this.#inFlight !== undefined) this.#inFlight.isLeftOut = true;
    this.#touchLogs.add(log);
    return log;
  }

  endTouchLog(log: ReadonlySet<string>): void {
    for (const other of this.#touchLogs) if (other === log) this.#touchLogs.delete(other);
  }

  /** Applies a plan behind the requests, leaving out what they touch meanwhile. One at a time. */
  run(operations: readonly Operation[], touched: ReadonlySet<string>): Promise<CycleSummary> {
    const plan = new PlanRun(operations, touched);
    this.#plan = plan;
    this.#isTrusted = true;
    this.#pump();
    return plan.ended;
  }

  /** What is on its way to the dataplane, by the entries it is about. */
  *pending(): Generator<PendingWork, void, undefined> {
    for (const { operation } of this.#unknown) {
      yield { stage: 'unknown', what: operation.kind, keys: operationKeys(operation) };
    }
    for (const { operation } of this.#inFlight?.entries ?? []) {
      yield { stage: 'in-flight', what: operation.kind, keys: operationKeys(operation) };
    }
    for (const { work } of this.#waiting) yield { stage: 'waiting', what: work.kind, keys: workKeys(work) };
  }

  #pump(): void {
    if (this.#open === undefined || this.#inFlight !== undefined) return;
    const batch = this.#cutRequests(this.#open.maxBatch) ?? this.#cutPlan(this.#open.maxBatch);
    if (batch === undefined) return;
    this.#inFlight = batch;
    this.#totals.batches += 1;
    this.#totals.operations += batch.entries.length;
    const { charonInstanceId, deadlineMs } = this.#open;
    this.#options.tasks.spawn((signal) => this.#send(batch, { charonInstanceId, deadlineMs, signal }));
  }

  async #send(batch: Batch, call: Parameters<DataplanePort['apply']>[1]): Promise<void> {
    const { dataplane, desired } = this.#options;
    desired.hold(true);
    const outcome = await dataplane.apply(
      batch.entries.map(({ operation }) => operation),
      call,
    );
    this.#inFlight = undefined;
    this.#finish(batch, outcome);
    desired.hold(false);
    this.#pump();
  }

  #cutRequests(maxBatch: number): Batch | undefined {
    const entries: Entry[] = [];
    const batchKeys = new Set<string>();
    for (let item = this.#waiting.peek(); item !== undefined; item = this.#waiting.peek()) {
      const { work } = item;
      const keys = workKeys(work);
      const isFlush = work.kind === 'flush-sas' || work.kind === 'flush-policies';
      if (entries.length === maxBatch || keys.some((key) => batchKeys.has(key))) break;
      if (isFlush && entries.length > 0) break;
      this.#waiting.shift();
      const prepared = prepare(work, this.#options.desired, {
        isAwaited: item.answer !== undefined,
        isSettled: (key) => this.#isSettled(key),
      });
      if (work.kind === 'delete-sa') this.#options.hooks.left(saKey(work.id));
      // Background work on it failed, or a comparison that is under way leaves it out.
      const isUnseen = this.#touchLogs.size > 0 || keys.some((key) => this.#options.backOffs.has(key));
      for (const key of keys) {
        for (const log of this.#touchLogs) log.add(key);
        this.#options.backOffs.clear(key);
      }
      const hasOvertaken = this.#overtakeUnknown(keys);
      if (isFlush) this.#dropPlan();
      if (prepared.kind === 'answer') {
        // A comparison that is under way leaves the entry out.
        if (prepared.answer.kind !== 'ok' && this.#touchLogs.size > 0) this.#options.revisions.doubt();
        this.#answer(item, prepared.answer);
        continue;
      }
      entries.push({ operation: prepared.operation, item, isUnsettled: isUnseen || hasOvertaken });
      for (const key of keys) batchKeys.add(key);
    }
    return entries.length === 0 ? undefined : this.#batch(entries, undefined);
  }

  /** Later work on an entry decides what becomes of it, not what a listing says of earlier work. */
  #overtakeUnknown(keys: readonly string[]): boolean {
    const isOvertaken = ({ operation }: UnknownEntry): boolean =>
      operationKeys(operation).some((key) => keys.includes(key));
    const overtaken = this.#unknown.filter(isOvertaken);
    if (overtaken.length === 0) return false;
    this.#unknown = this.#unknown.filter((entry) => !isOvertaken(entry));
    for (const { item } of overtaken) this.#giveUp(item, 'overtaken before its outcome was known');
    return true;
  }

  /** What a plan is about is no longer desired: keys it would send are wiped. */
  #dropPlan(): void {
    this.#distrust();
    this.#plan?.drop();
    this.#options.hooks.suspect();
  }

  #cutPlan(maxBatch: number): Batch | undefined {
    const plan = this.#plan;
    if (plan === undefined) return undefined;
    const operations = plan.take(Math.min(maxBatch, this.#options.backgroundBatch));
    if (plan.left === 0) this.#plan = undefined;
    if (operations.length === 0) return undefined;
    const entries = operations.map((operation) => ({ operation, item: undefined, isUnsettled: false }));
    return this.#batch(entries, plan);
  }

  #batch(entries: readonly Entry[], plan: PlanRun | undefined): Batch {
    return { entries, generation: this.#generation, plan, isLeftOut: this.#touchLogs.size > 0 };
  }

  #finish(batch: Batch, outcome: ApplyOutcome): void {
    switch (outcome.kind) {
      case 'done':
        this.#options.revisions.answered(
          batch.entries.map(({ operation }) => operation),
          outcome.results,
          outcome.revision,
        );
        batch.entries.forEach((entry, index) => {
          const result = outcome.results[index];
          if (result !== undefined) this.#settle(batch, entry, result);
        });
        break;
      case 'fenced':
      case 'rejected':
        this.#options.revisions.doubt();
        for (const entry of batch.entries) {
          this.#settle(batch, entry, { kind: 'refused', code: 'internal', reason: outcome.reason });
        }
        if (outcome.kind === 'fenced') this.#options.hooks.fenced(outcome.reason);
        break;
      case 'unknown':
        this.#totals.unknown += batch.entries.length;
        for (const entry of batch.entries) this.#setUnknown(batch, entry, outcome.reason);
        this.#options.hooks.ambiguous(outcome.reason);
        break;
      default:
        assertNever(outcome, 'apply outcome');
    }
    // What an earlier snapshot's requests did is in no listing that was asked for before.
    if (batch.generation === this.#generation) return;
    this.#options.revisions.doubt();
    this.#options.hooks.suspect();
  }

  #settle(batch: Batch, { operation, item, isUnsettled }: Entry, result: OperationResult): void {
    countOperation(this.#totals, operation, result);
    noteResult(this.#options.journal, operation, result, item === undefined ? 'repair' : 'request');
    batch.plan?.note(operation, result);
    const isAwaited = item?.answer !== undefined;
    // What it left as it was, nobody has seen: a move changes an SA's addresses and nothing else.
    const isWhole = isEffective(operation, result) && operation.kind !== 'update-sa';
    if (batch.isLeftOut && !isWhole) this.#options.revisions.doubt();
    if (isEffective(operation, result)) {
      for (const key of operationKeys(operation)) this.#options.backOffs.clear(key);
    } else {
      if (!isAwaited && result.kind === 'refused') this.#backOff(operation, result.reason);
      // What was to be done before is left to be done.
      else if (isUnsettled) this.#options.hooks.suspect();
    }
    if (item === undefined) return;
    if (batch.generation !== this.#generation) this.#giveUp(item, 'charon sent a new snapshot');
    else this.#answer(item, complete(item.work, result, this.#options.desired, { isAwaited }));
  }

  #setUnknown(batch: Batch, { operation, item }: Entry, reason: string): void {
    batch.plan?.note(operation, undefined);
    noteUnanswered(this.#options.journal, operation, reason);
    if (item?.answer === undefined) {
      // It may be what the dataplane chokes on: not again at once.
      this.#backOff(operation, reason);
      return;
    }
    const isReadable = operation.kind !== 'reserve-spi' && batch.generation === this.#generation;
    if (isReadable) this.#unknown.push({ operation, item });
    else this.#giveUp(item, reason);
  }

  #backOff(operation: Operation, reason: string): void {
    const { backOffs, clock, logger, hooks, revisions } = this.#options;
    revisions.doubt();
    for (const key of operationKeys(operation)) {
      const { isNew, notBeforeMs } = backOffs.fail(key, reason, clock.now());
      if (isNew) logger.warn({ key, operation: operation.kind, reason }, 'operation failed, will retry');
      hooks.failed(notBeforeMs);
    }
  }

  #distrust(): void {
    this.#isTrusted = false;
    this.#options.revisions.doubt();
  }

  #answer(item: WorkItem, answer: SyncAnswer): void {
    if (answer.kind !== 'ok') {
      this.#totals.refused += 1;
      this.#options.hooks.refused(item, answer);
    }
    item.answer?.(answer);
  }

  #giveUp(item: WorkItem, reason: string): void {
    if (item.work.kind === 'add-sa') {
      this.#options.desired.discard(item.work.sa);
      this.#options.journal.end(saKey(item.work.sa.id), 'given-up', reason);
    }
    this.#answer(item, tryAgain(reason));
  }

  /**
   * Whether the dataplane is known to hold what is desired for this key. During a comparison
   * it is not: the comparison leaves out what requests touch, so they have to see to it.
   */
  #isSettled(key: string): boolean {
    return this.#isTrusted && this.#touchLogs.size === 0 && !this.#options.backOffs.has(key);
  }
}
