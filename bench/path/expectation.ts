/** What became of an expectation. */
export type Fulfilment = {
  /** Until the last name that was ticked off. */
  readonly elapsedMs: number;
  /** Names that were not, when the time was over. */
  readonly missing: readonly string[];
};

/** Names that have to be ticked off, in any order, within a time. The clock starts at once. */
export class Expectation {
  /** Resolves when all are, or the time is over. */
  readonly settled: Promise<Fulfilment>;
  readonly #missing: Set<string>;
  readonly #outcome = Promise.withResolvers<Fulfilment>();
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #elapsedMs = 0;

  constructor(names: readonly string[], timeoutMs: number) {
    this.#missing = new Set(names);
    this.settled = this.#outcome.promise;
    // It may fail before anybody waits.
    this.settled.catch(() => undefined);
    this.#timer = setTimeout(() => this.#settle(), timeoutMs);
  }

  /** Names that are not expected, or were ticked off before, are ignored. */
  tick(name: string): void {
    if (!this.#missing.delete(name)) return;
    this.#elapsedMs = performance.now() - this.#startedMs;
    if (this.#missing.size === 0) this.#settle();
  }

  fail(reason: unknown): void {
    clearTimeout(this.#timer);
    this.#outcome.reject(reason);
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#outcome.resolve({ elapsedMs: this.#elapsedMs, missing: [...this.#missing] });
  }
}
