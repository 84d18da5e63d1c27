import {
  type Restoration,
  type SaId,
  type SaKey,
  type SaUsage,
  type SecurityAssociation,
  saKey,
} from '../sad/index.ts';

/** `lastUseMs`: when it carried a packet, on the scale `note` was told. Readings may be of different times. */
type Known = { readonly usage: SaUsage; readonly lastUseMs: number };

/** What the dataplane last said of each SA: what is left of one it lost. */
export class LastKnownUsage {
  readonly #known = new Map<SaKey, Known>();

  /** A reading that is older than the last one, because it took longer, takes nothing back. */
  note(usages: Iterable<SaUsage>, nowMs: number): void {
    for (const usage of usages) {
      const key = saKey(usage.id);
      const known = this.#known.get(key)?.usage.replayState;
      if (known !== undefined && known.highestSequence > (usage.replayState?.highestSequence ?? 0n)) continue;
      const { idleMs } = usage.counters;
      const lastUseMs = idleMs === undefined ? Number.NEGATIVE_INFINITY : nowMs - Number(idleMs);
      this.#known.set(key, { usage, lastUseMs });
    }
  }

  forget(key: SaKey): void {
    this.#known.delete(key);
  }

  keepOnly(keys: { readonly has: (key: SaKey) => boolean }): void {
    for (const key of this.#known.keys()) {
      if (!keys.has(key)) this.#known.delete(key);
    }
  }

  /** Those that carried packets last come first: somebody waits for them. */
  mostRecentlyUsedFirst(ids: readonly SaId[]): readonly SaId[] {
    const lastUses = new Map(
      ids.map((id) => [id, this.#known.get(saKey(id))?.lastUseMs ?? Number.NEGATIVE_INFINITY]),
    );
    const lastUseMs = (id: SaId): number => lastUses.get(id) ?? Number.NEGATIVE_INFINITY;
    // Two that were never used are equal: the difference of infinities is no number.
    return [...ids].sort((a, b) => Math.sign(lastUseMs(b) - lastUseMs(a)) || 0);
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
    const replayState = this.#known.get(saKey(sa.id))?.usage.replayState;
    if (replayState === undefined || !options.takesReplayState) return { kind: 'rekey' };
    return { kind: 'add', replayState };
  }
}
