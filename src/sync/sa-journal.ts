import type { SaKey } from '../sad/index.ts';
import type { Clock } from '../util/index.ts';

/** What happened to an SA. */
export type SaTransition =
  /** charon had it when it sent a snapshot. */
  | 'in-snapshot'
  /** charon asked for it, and it is effective in the dataplane. */
  | 'installed'
  /** A comparison put it back. */
  | 'restored'
  | 'moved'
  /** charon heard no. */
  | 'refused'
  /** charon heard that it is to try again, without an answer of the dataplane to this request. */
  | 'given-up'
  /** The dataplane did not answer. */
  | 'unanswered'
  /** A listing told what the dataplane did. */
  | 'read-back'
  | 'deleted'
  /** charon has it no more, without having said so. */
  | 'left'
  /** A comparison did not find it in the dataplane. */
  | 'missing'
  | 'different'
  /** A comparison found it in the dataplane, and charon does not have it. */
  | 'unexpected'
  /** A repair of it failed. */
  | 'failed'
  | 'soft-expired'
  | 'hard-expired'
  | 'sequence-overflow'
  | 'rekey-asked'
  /** A listing of charon's has it; the detail is its state. */
  | 'listed';

/** A transition, with how often it came. Times are whole milliseconds of the clock. */
export type JournalEntry = {
  readonly kind: SaTransition;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly times: number;
  readonly detail: string | undefined;
};

export type SaJournalOptions = {
  readonly clock: Pick<Clock, 'now'>;
  /** Kept of one SA: the first, and as many of the last as there is room for. */
  readonly entriesPerSa?: number;
  /** SAs that are gone and still remembered. */
  readonly gone?: number;
};

type Record = readonly JournalEntry[];

/**
 * The last transitions of every SA, and of those that went last. Its memory is bounded by the
 * number of SAs there are; no key is in it.
 */
export class SaJournal {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #entriesPerSa: number;
  readonly #goneLimit: number;
  readonly #living = new Map<SaKey, Record>();
  /** In the order in which they went. */
  readonly #gone = new Map<SaKey, Record>();

  constructor({ clock, entriesPerSa = 8, gone = 1_000 }: SaJournalOptions) {
    this.#clock = clock;
    this.#entriesPerSa = entriesPerSa;
    this.#goneLimit = gone;
  }

  /** Living and remembered. */
  get size(): number {
    return this.#living.size + this.#gone.size;
  }

  *keys(): Generator<SaKey, void, undefined> {
    yield* this.#living.keys();
    yield* this.#gone.keys();
  }

  isLiving(key: SaKey): boolean {
    return this.#living.has(key);
  }

  /** By their last times; nothing of an SA that is not known. */
  entries(key: SaKey): readonly JournalEntry[] {
    return this.#living.get(key) ?? this.#gone.get(key) ?? [];
  }

  note(key: SaKey, kind: SaTransition, detail?: string): void {
    const record = this.#added(key, kind, detail);
    this.#gone.delete(key);
    this.#living.set(key, record);
  }

  /** Notes the last transition of an SA that is gone with it. */
  end(key: SaKey, kind: SaTransition, detail?: string): void {
    const record = this.#added(key, kind, detail);
    this.#living.delete(key);
    this.#gone.delete(key);
    this.#gone.set(key, record);
    if (this.#gone.size <= this.#goneLimit) return;
    for (const oldest of this.#gone.keys()) {
      this.#gone.delete(oldest);
      break;
    }
  }

  /** Ends every living SA that is not among these. */
  keepOnly(keys: { readonly has: (key: SaKey) => boolean }, kind: SaTransition, detail?: string): void {
    for (const key of this.#living.keys()) if (!keys.has(key)) this.end(key, kind, detail);
  }

  #added(key: SaKey, kind: SaTransition, detail: string | undefined): Record {
    const nowMs = Math.round(this.#clock.now());
    const record = this.entries(key);
    // What alternates (missing, repair failed) would push out everything else. The first entry stays the first.
    const index = record.findLastIndex((entry) => entry.kind === kind && entry.detail === detail);
    const same = record[index];
    if (same !== undefined && (index > 0 || record.length === 1)) {
      return [...record.toSpliced(index, 1), { ...same, lastMs: nowMs, times: same.times + 1 }];
    }
    const entry: JournalEntry = { kind, firstMs: nowMs, lastMs: nowMs, times: 1, detail };
    if (record.length < this.#entriesPerSa) return [...record, entry];
    return [...record.slice(0, 1), ...record.slice(2 - this.#entriesPerSa), entry];
  }
}
