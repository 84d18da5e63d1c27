export type PeerLimitOptions = { readonly attempts: number; readonly windowMs: number };

type Attempt = { readonly key: string; readonly atMs: number };

/**
 * So many attempts at one peer within a window. One that came to something is given back: what
 * is counted are those that failed, or whose outcome is not known yet.
 */
export class PeerLimit {
  readonly #options: PeerLimitOptions;
  readonly #attempts = new Map<string, readonly Attempt[]>();

  constructor(options: PeerLimitOptions) {
    this.#options = options;
  }

  /** How many more may be made now. */
  left(peer: string, nowMs: number): number {
    const { attempts, windowMs } = this.#options;
    return attempts - this.#keep(peer, ({ atMs }) => atMs > nowMs - windowMs);
  }

  take(peer: string, key: string, nowMs: number): void {
    this.#attempts.set(peer, [...(this.#attempts.get(peer) ?? []), { key, atMs: nowMs }]);
  }

  giveBack(peer: string, key: string): void {
    this.#keep(peer, (attempt) => attempt.key !== key);
  }

  /** How many it keeps. */
  #keep(peer: string, isKept: (attempt: Attempt) => boolean): number {
    const kept = (this.#attempts.get(peer) ?? []).filter(isKept);
    if (kept.length === 0) this.#attempts.delete(peer);
    else this.#attempts.set(peer, kept);
    return kept.length;
  }
}
