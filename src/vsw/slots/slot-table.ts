import { collisionOdds, slotOf } from './slot.ts';

export type Direction = 'inbound' | 'outbound';

/** Who is in a slot. */
export type SlotHolder = {
  readonly spi: number;
  /**
   * An SA; an SPI drawn for one; an SA that vsw may not have forgotten yet; an SA of somebody else; an SA that
   * is not there, while an outbound policy sends to its slot.
   */
  readonly kind: 'sa' | 'reserved' | 'leaving' | 'foreign' | 'named';
};

type Entry = SlotHolder & { readonly untilMs: number };

/** Monotonic milliseconds. */
type Now = () => number;

/**
 * One VRF's slots. What openconfigd's stream brings goes into both directions' tables, so that one table
 * stands for both; what PF_KEY brings goes into its own direction's.
 */
export class SlotTable {
  readonly #now: Now;
  readonly #tables: Readonly<Record<Direction, Map<number, Entry>>>;
  readonly #named: () => Iterable<number>;

  /** `named`: the SPIs that outbound policies name; vsw looks at nothing but their slots. */
  constructor(
    now: Now,
    { isShared, named = () => [] }: { readonly isShared: boolean; readonly named?: () => Iterable<number> },
  ) {
    this.#now = now;
    this.#named = named;
    const inbound = new Map<number, Entry>();
    this.#tables = { inbound, outbound: isShared ? inbound : new Map<number, Entry>() };
  }

  /** Who stands in the way of this SPI; undefined when its slot is free, or its own reservation. */
  blocker(direction: Direction, spi: number): SlotHolder | undefined {
    const slot = slotOf(spi);
    const entry = this.#entry(direction, slot);
    if (entry !== undefined && (entry.kind !== 'reserved' || entry.spi !== spi)) return entry;
    if (this.#tables[direction] !== this.#tables.outbound) return undefined;
    for (const named of this.#named()) {
      if (named !== spi && slotOf(named) === slot) return { spi: named, kind: 'named' };
    }
    return undefined;
  }

  /** Another SA that vsw would send by, for a policy that names this SPI. */
  stranger(spi: number): SlotHolder | undefined {
    const entry = this.#entry('outbound', slotOf(spi));
    return entry === undefined || entry.spi === spi || entry.kind === 'reserved' ? undefined : entry;
  }

  /** Who has this SPI. */
  holder(direction: Direction, spi: number): SlotHolder | undefined {
    const entry = this.#entry(direction, slotOf(spi));
    return entry?.spi === spi ? entry : undefined;
  }

  /** For an SA; the slot has to be free. */
  take(direction: Direction, spi: number): void {
    this.#put(direction, { spi, kind: 'sa', untilMs: Number.POSITIVE_INFINITY });
  }

  /** For an SPI that was drawn, for so long. */
  reserve(direction: Direction, spi: number, forMs: number): void {
    this.#put(direction, { spi, kind: 'reserved', untilMs: this.#now() + forMs });
  }

  /** The SA was deleted: its slot is free `afterMs` later, when vsw's cores have seen it. */
  leave(direction: Direction, spi: number, afterMs: number): void {
    if (this.#entry(direction, slotOf(spi))?.spi !== spi) return;
    this.#put(direction, { spi, kind: 'leaving', untilMs: this.#now() + afterMs });
  }

  /** A drawn SPI that was not used, or an SA that never came. */
  release(direction: Direction, spi: number): void {
    const slot = slotOf(spi);
    if (this.#entry(direction, slot)?.spi === spi) this.#tables[direction].delete(slot);
  }

  /**
   * The SAs of others, all that there are: they have their slots before what is only reserved.
   * @returns those that are in the slot of an SA, each with that
   */
  setForeign(spis: readonly number[]): readonly (readonly [number, number])[] {
    const contested = new Map<number, number>();
    for (const table of new Set(Object.values(this.#tables))) {
      for (const [slot, entry] of table) {
        if (entry.kind === 'foreign' && !spis.includes(entry.spi)) table.delete(slot);
      }
      for (const spi of spis) {
        const entry = table.get(slotOf(spi));
        if (entry?.kind === 'sa') contested.set(spi, entry.spi);
        else if (entry?.kind !== 'foreign' && !(entry?.kind === 'leaving' && entry.spi === spi)) {
          table.set(slotOf(spi), { spi, kind: 'foreign', untilMs: Number.POSITIVE_INFINITY });
        }
      }
    }
    return [...contested];
  }

  /** How many slots are not free. */
  used(direction: Direction): number {
    return this.#slots(direction).length;
  }

  /** How likely the next SPI of a peer's choice collides. */
  odds(direction: Direction): number {
    return collisionOdds(this.#slots(direction));
  }

  #slots(direction: Direction): readonly number[] {
    return [...this.#tables[direction].keys()].filter((slot) => this.#entry(direction, slot) !== undefined);
  }

  #entry(direction: Direction, slot: number): Entry | undefined {
    const table = this.#tables[direction];
    const entry = table.get(slot);
    if (entry === undefined || entry.untilMs > this.#now()) return entry;
    table.delete(slot);
    return undefined;
  }

  #put(direction: Direction, entry: Entry): void {
    this.#tables[direction].set(slotOf(entry.spi), entry);
  }
}
