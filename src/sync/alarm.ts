import type { Clock } from '../util/index.ts';
import type { BackgroundTasks } from './background-tasks.ts';

/** Rings once at the earliest of the times it was set to. */
export class Alarm {
  readonly #clock: Clock;
  readonly #tasks: BackgroundTasks;
  readonly #ring: () => void;
  #dueMs = Number.POSITIVE_INFINITY;
  #sleeping: AbortController | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly tasks: BackgroundTasks;
    readonly ring: () => void;
  }) {
    this.#clock = options.clock;
    this.#tasks = options.tasks;
    this.#ring = options.ring;
  }

  /** When it rings next, on the clock's scale; infinite when it is not set. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** `timeMs` is on the clock's scale. A later time than the one that is set is ignored. */
  setNoLaterThan(timeMs: number): void {
    if (timeMs >= this.#dueMs) return;
    this.#dueMs = timeMs;
    this.#sleeping?.abort();
    const sleeping = new AbortController();
    this.#sleeping = sleeping;
    this.#tasks.spawn((signal) => this.#sleep(sleeping.signal, signal));
  }

  async #sleep(superseded: AbortSignal, stopped: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(Math.max(0, this.#dueMs - this.#clock.now()), {
        signal: AbortSignal.any([superseded, stopped]),
      });
    } catch (error) {
      if (superseded.aborted) return;
      throw error;
    }
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#ring();
  }
}
