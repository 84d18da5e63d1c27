import type { SaKey } from '../sad/index.ts';

/** charon deletes an SA at once when it hears that its hard lifetime ended. */
const GRACE_MS = 10_000;

/**
 * SAs whose hard lifetime ended in the dataplane: charon is about to delete them, so they are not
 * missed. One that charon still has later is: it may not have heard, or not known the SA yet.
 */
export class ExpiredSas {
  readonly #endMs = new Map<SaKey, number>();

  /** Gives the time from which it is missed. */
  note(key: SaKey, nowMs: number): number {
    const endMs = nowMs + GRACE_MS;
    this.#endMs.set(key, endMs);
    return endMs;
  }

  forget(key: SaKey): void {
    this.#endMs.delete(key);
  }

  keepOnly(keys: { readonly has: (key: SaKey) => boolean }): void {
    for (const key of this.#endMs.keys()) if (!keys.has(key)) this.#endMs.delete(key);
  }

  get size(): number {
    return this.#endMs.size;
  }

  /** When the next one will be missed. */
  get nextEndMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const endMs of this.#endMs.values()) nextMs = Math.min(nextMs, endMs);
    return nextMs;
  }

  /** Forgets those that are missed by now, and gives the others. */
  current(nowMs: number): ReadonlySet<SaKey> {
    for (const [key, endMs] of this.#endMs) if (endMs <= nowMs) this.#endMs.delete(key);
    return new Set(this.#endMs.keys());
  }
}
