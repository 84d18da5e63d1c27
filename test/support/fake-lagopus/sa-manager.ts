import { type SaStage, type SaValues, stateOf } from './sa.ts';

export type HeldSa = { readonly spi: number; readonly values: SaValues | undefined; readonly stage: SaStage };
export type Expiry = {
  readonly spi: number;
  readonly values: SaValues;
  readonly isSoft: boolean;
  readonly state: number;
};

const FINDABLE: ReadonlySet<SaStage> = new Set(['reserved', 'newing', 'valid', 'updating', 'softExpired']);
const PUSHABLE: ReadonlySet<SaStage> = new Set(['newing', 'valid', 'updating', 'softExpired']);
const CHANGED: ReadonlySet<SaStage> = new Set(['newing', 'updating', 'hardExpired', 'deleting']);

/**
 * One direction's SAs of one VRF (agents/tunnel/ipsec/sad/sad.go, sad_mgr.go). A deleted SA keeps its
 * SPI taken until the next tick, which is why DELETE and ADD of one SPI within a tick lose it.
 */
export class SaManager {
  readonly #sas = new Map<number, { values: SaValues | undefined; stage: SaStage }>();

  /** False when the SPI is taken, or 0. */
  add(spi: number, values: SaValues | undefined): boolean {
    if (spi === 0 || this.#sas.has(spi)) return false;
    this.#sas.set(spi, { values, stage: 'reserved' });
    return true;
  }

  /** Replaces the values of one that exists; false when it does not. */
  update(spi: number, values: SaValues): boolean {
    const sa = this.#sas.get(spi);
    if (sa === undefined || sa.stage === 'deleting') return false;
    sa.values = values;
    return true;
  }

  /** Ready to be pushed at the next tick. */
  enable(spi: number): boolean {
    const sa = this.#sas.get(spi);
    if (sa === undefined || sa.stage === 'hardExpired' || sa.stage === 'deleting') return false;
    sa.stage = sa.stage === 'reserved' || sa.stage === 'newing' ? 'newing' : 'updating';
    return true;
  }

  delete(spi: number): void {
    const sa = this.#sas.get(spi);
    if (sa === undefined) return;
    if (sa.stage === 'reserved' || sa.stage === 'newing') this.#sas.delete(spi);
    else sa.stage = 'deleting';
  }

  find(spi: number): HeldSa | undefined {
    const sa = this.#sas.get(spi);
    return sa !== undefined && FINDABLE.has(sa.stage) ? { spi, ...sa } : undefined;
  }

  /** The newest with these outer addresses; `pick` chooses among equals, as a Go map's order does. */
  findByAddresses(local: string, remote: string, pick: (count: number) => number): HeldSa | undefined {
    const all = [...this.#sas]
      .map(([spi, sa]) => ({ spi, ...sa }))
      .filter(
        ({ stage, values }) => FINDABLE.has(stage) && values?.local === local && values.remote === remote,
      );
    const newest = Math.max(...all.map(({ values }) => values?.addedAtMs ?? 0));
    const equals = all.filter(({ values }) => values?.addedAtMs === newest);
    return equals[pick(equals.length)];
  }

  /** What DUMP lists: also the hard expired, not the deleted. */
  list(): readonly HeldSa[] {
    return [...this.#sas].flatMap(([spi, sa]) => (sa.stage === 'deleting' ? [] : [{ spi, ...sa }]));
  }

  get isEmpty(): boolean {
    return this.#sas.size === 0;
  }

  /** Of time only: byte lifetimes never fire, as the bytes are never read back. */
  expire(nowMs: number): readonly Expiry[] {
    const expiries: Expiry[] = [];
    for (const [spi, sa] of this.#sas) {
      const { values } = sa;
      if (values === undefined) continue;
      const atSoft = { spi, values, state: stateOf(sa.stage) };
      const { stage } = sa;
      if (stage === 'valid' && values.softAtMs !== 0 && values.softAtMs < nowMs) {
        expiries.push({ ...atSoft, isSoft: true });
        sa.stage = 'softExpired';
      }
      if (stage === 'hardExpired' || stage === 'deleting') continue;
      if (values.hardAtMs !== 0 && values.hardAtMs < nowMs) {
        expiries.push({ ...atSoft, isSoft: false });
        if (sa.stage === 'reserved' || sa.stage === 'newing') this.#sas.delete(spi);
        else sa.stage = 'hardExpired';
      }
    }
    return expiries;
  }

  /** What a tick gives to the forwarding cores: everything, when anything changed. */
  push(): readonly { readonly spi: number; readonly values: SaValues }[] | undefined {
    const entries = [...this.#sas];
    if (!entries.some(([, { stage }]) => CHANGED.has(stage))) return undefined;
    const pushed = entries.flatMap(([spi, { stage, values }]) =>
      PUSHABLE.has(stage) && values !== undefined ? [{ spi, values }] : [],
    );
    for (const [spi, sa] of entries) {
      if (sa.stage === 'newing' || sa.stage === 'updating') sa.stage = 'valid';
      else if (sa.stage === 'hardExpired' || sa.stage === 'deleting') this.#sas.delete(spi);
    }
    return pushed;
  }
}
