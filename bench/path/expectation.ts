/** Names that have to be ticked off, in any order, within a time. */
export class Expectation {
  /** Rejects, telling how many are missing, when the time is over. */
  readonly met: Promise<void>;
  readonly #missing: Set<string>;
  readonly #outcome = Promise.withResolvers<void>();
  readonly #timer: NodeJS.Timeout;

  constructor(what: string, names: readonly string[], timeoutMs: number) {
    this.#missing = new Set(names);
    this.met = this.#outcome.promise;
    // It may fail before anybody waits.
    this.met.catch(() => undefined);
    this.#timer = setTimeout(() => {
      const missing = this.#missing.size;
      this.fail(new Error(`${what}: ${missing} of ${names.length} missing after ${timeoutMs} ms`));
    }, timeoutMs);
  }

  /** Names that are not expected, or were ticked off before, are ignored. */
  tick(name: string): void {
    this.#missing.delete(name);
    if (this.#missing.size > 0) return;
    clearTimeout(this.#timer);
    this.#outcome.resolve();
  }

  fail(reason: unknown): void {
    clearTimeout(this.#timer);
    this.#outcome.reject(reason);
  }
}
