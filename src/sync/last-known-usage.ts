import {
  type Restoration,
  type SaId,
  type SaKey,
  type SaUsage,
  type SecurityAssociation,
  saKey,
} from '../sad/index.ts';

/** What the dataplane last said of each SA: what is left of one it lost. */
export class LastKnownUsage {
  readonly #usages = new Map<SaKey, SaUsage>();

  /** A reading that is older than the last one, because it took longer, takes nothing back. */
  note(usages: Iterable<SaUsage>): void {
    for (const usage of usages) {
      const key = saKey(usage.id);
      const known = this.#usages.get(key)?.replayState;
      const isOlder =
        known !== undefined && known.highestSequence > (usage.replayState?.highestSequence ?? 0n);
      if (!isOlder) this.#usages.set(key, usage);
    }
  }

  forget(key: SaKey): void {
    this.#usages.delete(key);
  }

  keepOnly(keys: { readonly has: (key: SaKey) => boolean }): void {
    for (const key of this.#usages.keys()) {
      if (!keys.has(key)) this.#usages.delete(key);
    }
  }

  /** Those that carried packets last come first: somebody waits for them. */
  mostRecentlyUsedFirst(ids: readonly SaId[]): readonly SaId[] {
    const idleMs = (id: SaId): number => {
      const idle = this.#usages.get(saKey(id))?.counters.idleMs;
      return idle === undefined ? Number.MAX_SAFE_INTEGER : Number(idle);
    };
    return [...ids].sort((a, b) => idleMs(a) - idleMs(b));
  }

  /**
   * Whether a lost SA may be installed again (invariant 4). An outbound one never: which
   * sequence numbers went out is not known. An inbound one with the replay state of the last
   * reading: what came between it and the loss could be replayed, once. One with ESN cannot be
   * read without it.
   */
  restore(sa: SecurityAssociation, options: { readonly takesReplayState: boolean }): Restoration {
    if (sa.id.direction === 'outbound') return { kind: 'rekey' };
    // With ESN the window's upper half is what incoming sequence numbers are completed from.
    if (sa.replayWindow === 0 && !sa.esn) return { kind: 'add', replayState: undefined };
    const replayState = this.#usages.get(saKey(sa.id))?.replayState;
    if (replayState === undefined || !options.takesReplayState) return { kind: 'rekey' };
    return { kind: 'add', replayState };
  }
}
