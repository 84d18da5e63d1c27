import type { Clock } from '../../src/util/index.ts';

type Sleeper = { readonly dueMs: number; readonly wake: () => void };

/** Time that stands still until a test advances it. */
export class FakeClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  readonly now = (): number => this.#nowMs;

  readonly sleep: Clock['sleep'] = (delayMs, { signal } = {}) =>
    new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        dueMs: this.#nowMs + delayMs,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#sleepers.add(sleeper);
    });

  /** Lets time pass, waking sleepers in order, each with the chance to sleep again. */
  async advance(delayMs: number): Promise<void> {
    const endMs = this.#nowMs + delayMs;
    await settleMicrotasks();
    for (;;) {
      const [next] = [...this.#sleepers]
        .filter(({ dueMs }) => dueMs <= endMs)
        .sort((a, b) => a.dueMs - b.dueMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.wake();
      await settleMicrotasks();
    }
    this.#nowMs = endMs;
  }
}

function settleMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
