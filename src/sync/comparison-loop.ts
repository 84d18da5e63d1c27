import { AgentError, type Clock, errorMessage, type Logger } from '../util/index.ts';
import { Alarm } from './alarm.ts';
import { type BackOffOptions, backOffMs } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { Jitter } from './jitter.ts';
import { emptyTotals } from './plan-run.ts';
import type { CallOptions } from './ports.ts';
import type { CycleSummary } from './status.ts';

export type ComparisonLoopOptions = {
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  readonly logger: Logger;
  readonly backOff: BackOffOptions;
  /** The longest time between two cycles; 0 is unlimited. */
  readonly intervalMs: number;
  /** Shortens each interval by a part of it. */
  readonly intervalJitter: Jitter;
  /** Why no cycle can run now; undefined: it can. A wish is kept until then. */
  readonly obstacle: () => string | undefined;
  /**
   * One comparison and its repair; undefined when its ground changed meanwhile and it has to
   * start again. Throws AgentError when it failed.
   */
  readonly cycle: (signal: AbortSignal) => Promise<CycleSummary | undefined>;
  readonly onFailure: (reason: string) => void;
};

const SUMMARY_FIELDS = ['added', 'updated', 'deleted', 'failed', 'unknown'] as const;

/** Runs one cycle at a time; whatever is wanted during one makes one more. */
export class ComparisonLoop {
  readonly #options: ComparisonLoopOptions;
  readonly #alarm: Alarm;
  #isWanted = false;
  #isRunning = false;
  #failures = 0;
  #auditors: PromiseWithResolvers<CycleSummary>[] = [];
  #last: CycleSummary | undefined;
  #lastDurationMs = 0;
  #cycles = 0;
  readonly #sums = emptyTotals();

  constructor(options: ComparisonLoopOptions) {
    this.#options = options;
    this.#alarm = new Alarm({ ...options, ring: () => this.want() });
  }

  get last(): CycleSummary | undefined {
    return this.#last;
  }

  /** How long the last one took, its repair included. */
  get lastDurationMs(): number {
    return this.#lastDurationMs;
  }

  get cycles(): number {
    return this.#cycles;
  }

  /** All summaries, summed up. */
  get sums(): CycleSummary {
    return this.#sums;
  }

  /** When the next one is due, on the clock's scale; infinite when none is. */
  get nextMs(): number {
    return this.#isWanted || this.#isRunning ? this.#options.clock.now() : this.#alarm.dueMs;
  }

  /** Runs a cycle now, or as soon as it can. */
  want(): void {
    this.#isWanted = true;
    if (this.#isRunning || this.#options.obstacle() !== undefined) return;
    this.#isRunning = true;
    this.#options.tasks.spawn(async (signal) => {
      try {
        while (this.#isWanted && this.#options.obstacle() === undefined) await this.#runOne(signal);
      } finally {
        this.#isRunning = false;
      }
    });
  }

  /** Runs a cycle at a time on the clock's scale, unless one is wanted earlier. */
  wantAt(timeMs: number): void {
    this.#alarm.setNoLaterThan(timeMs);
  }

  /** The summary of a cycle that starts from now on. */
  async audit({ signal }: CallOptions = {}): Promise<CycleSummary> {
    signal?.throwIfAborted();
    const obstacle = this.#options.obstacle();
    if (obstacle !== undefined) {
      throw new AgentError(`cannot compare: ${obstacle}`, { code: 'unavailable', retryable: true });
    }
    const auditor = Promise.withResolvers<CycleSummary>();
    const onAbort = (): void => auditor.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#auditors.push(auditor);
    this.want();
    try {
      return await auditor.promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Tells those who wait for an audit that there will be none. */
  failAudits(reason: string): void {
    for (const auditor of this.#takeAuditors()) {
      auditor.reject(new AgentError(`cannot compare: ${reason}`, { code: 'unavailable', retryable: true }));
    }
  }

  async #runOne(signal: AbortSignal): Promise<void> {
    const { clock, logger, backOff, intervalMs, intervalJitter, cycle, onFailure } = this.#options;
    this.#isWanted = false;
    const auditors = this.#takeAuditors();
    const startMs = clock.now();
    try {
      const summary = await cycle(signal);
      if (summary === undefined) {
        this.#isWanted = true;
        this.#auditors.push(...auditors);
        return;
      }
      this.#cycles += 1;
      this.#last = summary;
      this.#lastDurationMs = clock.now() - startMs;
      for (const name of SUMMARY_FIELDS) this.#sums[name] += summary[name];
      this.#failures = 0;
      for (const auditor of auditors) auditor.resolve(summary);
      const isQuiet = Object.values(summary).every((count) => count === 0);
      logger[isQuiet ? 'debug' : 'info']({ ...summary }, 'compared with the dataplane');
      if (intervalMs > 0) this.wantAt(clock.now() + Math.ceil(intervalMs * intervalJitter()));
    } catch (error) {
      for (const auditor of auditors) auditor.reject(error);
      if (!(error instanceof AgentError) || signal.aborted) throw error;
      this.#failures += 1;
      const fields = { error: errorMessage(error) };
      if (this.#failures === 1) logger.warn(fields, 'comparison with the dataplane failed, will retry');
      onFailure(error.message);
      this.wantAt(clock.now() + backOffMs(this.#failures, backOff));
    }
  }

  #takeAuditors(): readonly PromiseWithResolvers<CycleSummary>[] {
    const auditors = this.#auditors;
    this.#auditors = [];
    return auditors;
  }
}
