import type { Jitter } from './jitter.ts';

export type BackOffOptions = {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Shortens each pause by a part of it; none unless told. */
  readonly jitter?: Jitter;
};

/** Doubles from `firstMs` to `maxMs`; `attempts` counts failures, from 1. */
export function backOffMs(attempts: number, { firstMs, maxMs, jitter }: BackOffOptions): number {
  const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(attempts - 1, 30));
  return jitter === undefined ? fullMs : Math.ceil(fullMs * jitter());
}

export type FailedEntry = {
  readonly key: string;
  readonly attempts: number;
  readonly notBeforeMs: number;
  readonly reason: string;
};

/** Entries whose last background operation failed, each with its own back-off (invariant 7). */
export class BackOffs {
  readonly #options: BackOffOptions;
  readonly #entries = new Map<string, FailedEntry>();

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  get entries(): readonly FailedEntry[] {
    return [...this.#entries.values()];
  }

  get nextDueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const { notBeforeMs } of this.#entries.values()) dueMs = Math.min(dueMs, notBeforeMs);
    return dueMs;
  }

  /** Notes a failure; `isNew` unless the same entry failed for the same reason before. */
  fail(
    key: string,
    reason: string,
    nowMs: number,
  ): { readonly isNew: boolean; readonly notBeforeMs: number } {
    const previous = this.#entries.get(key);
    const attempts = (previous?.attempts ?? 0) + 1;
    const notBeforeMs = nowMs + backOffMs(attempts, this.#options);
    this.#entries.set(key, { key, attempts, notBeforeMs, reason });
    return { isNew: previous?.reason !== reason, notBeforeMs };
  }

  get(key: string): FailedEntry | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  isWaiting(key: string, nowMs: number): boolean {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.notBeforeMs > nowMs;
  }

  /** The entry changed or its operation succeeded: the next failure is a first one. */
  clear(key: string): void {
    this.#entries.delete(key);
  }

  keepOnly(isKept: (key: string) => boolean): void {
    for (const key of this.#entries.keys()) if (!isKept(key)) this.#entries.delete(key);
  }
}
