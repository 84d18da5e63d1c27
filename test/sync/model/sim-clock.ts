import { type Clock, InvariantError } from '../../../src/util/index.ts';

/** A world does some thousand things; one that does more in one go makes no progress. */
const MOST_EVENTS = 200_000;

type Due = { readonly dueMs: number; readonly order: number; readonly run: () => void };

/**
 * The one scheduler of a simulated world: the engine's sleeps and everything the world does later.
 * What is due at one time happens in the order it was asked for, and each happening is over, promises
 * and all, before the next one begins. So a run depends on its seed and steps alone.
 */
export class SimClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #queue = new Set<Due>();
  readonly #onSettled: () => void;

  /** `onSettled`: called after each happening. */
  constructor(onSettled: () => void) {
    this.#onSettled = onSettled;
  }

  readonly now = (): number => this.#nowMs;

  readonly sleep: Clock['sleep'] = (delayMs, { signal } = {}) =>
    new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = this.at(delayMs, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });

  /** Runs something later; gives a function that calls it off. */
  at(delayMs: number, run: () => void): () => void {
    this.#order += 1;
    const due = { dueMs: this.#nowMs + delayMs, order: this.#order, run };
    this.#queue.add(due);
    return () => {
      this.#queue.delete(due);
    };
  }

  /**
   * Lets time pass.
   *
   * @throws InvariantError when there is no end to what happens meanwhile
   */
  async advance(delayMs: number): Promise<void> {
    const endMs = this.#nowMs + delayMs;
    let events = 0;
    await promisesSettled();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      events += 1;
      if (events > MOST_EVENTS) throw new InvariantError('time stands still');
      this.#queue.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.run();
      await promisesSettled();
      this.#onSettled();
    }
    this.#nowMs = endMs;
  }

  #next(endMs: number): Due | undefined {
    let first: Due | undefined;
    for (const due of this.#queue) {
      if (due.dueMs > endMs) continue;
      if (first === undefined || due.dueMs < first.dueMs) first = due;
    }
    return first;
  }
}

/** Nothing in the model waits for I/O: after one turn of the event loop every promise has settled. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
