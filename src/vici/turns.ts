import { AgentError } from '../util/index.ts';
import type { Deadline } from './deadline.ts';

/** Lets callers in one after another, in the order they came. */
export class Turns {
  readonly #limit: number;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits for one's turn, which ends when the result is disposed. */
  async take(what: string, deadline: Deadline): Promise<Disposable> {
    if (this.#waiting >= this.#limit) {
      throw new AgentError(`${what}: ${this.#waiting} VICI commands are waiting already`, {
        code: 'overflow',
        retryable: true,
      });
    }
    const before = this.#last;
    const { promise, resolve: finish } = Promise.withResolvers<void>();
    // One that gives up is skipped, but nobody overtakes those before it.
    this.#last = before.then(() => promise);
    this.#waiting += 1;
    try {
      await deadline.race(before);
    } catch (error) {
      finish();
      throw error;
    } finally {
      this.#waiting -= 1;
    }
    return { [Symbol.dispose]: finish };
  }
}
