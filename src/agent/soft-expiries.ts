import { type SaId, type SaKey, saKey } from '../sad/index.ts';
import type { UsageReport } from '../sync/index.ts';

/** Of which SAs' soft limits a charon was told; once is enough, it tries again itself. */
export class SoftExpiries {
  #told = new Set<SaKey>();

  /** The dataplane's event was passed on. */
  noteTold(id: SaId): void {
    this.#told.add(saKey(id));
  }

  /** Whom to tell of after a reading: those no event was passed on for, say because nobody was there. */
  untold({
    usages,
    overSoftLimit,
    isComplete,
  }: Pick<UsageReport, 'usages' | 'overSoftLimit' | 'isComplete'>): readonly SaId[] {
    const untold = overSoftLimit.filter((id) => !this.#told.has(saKey(id)));
    for (const id of untold) this.noteTold(id);
    if (isComplete && this.#told.size > 0)
      this.#told = new Set(usages.map(({ id }) => saKey(id))).intersection(this.#told);
    return untold;
  }
}
