import { slotOf } from '../../test/support/fake-lagopus/index.ts';
import { Rig, type RigOptions } from '../../test/vsw/driver/rig.ts';

/** What a commit took to show in a real vsw's PF_KEY: 2.5, 15, 31 ms (least, median, most). */
const APPLY_MS = 15;

/** A driver and its router. An openconfigd that vsw subscribes to itself must be one that does not wait. */
export function startRouter(via: 'relay' | 'pfkey'): Promise<Rig> {
  const options: RigOptions = via === 'relay' ? { via } : { via, openconfigd: { release: '0.8.1' } };
  const numbering = via === 'relay' ? '0.8.3' : '0.8.2';
  return Rig.start({ ...options, vsw: { applyDelayMs: APPLY_MS, numbering } });
}

/** SPIs of one slot each, and of none that was given before. */
export class SpiSource {
  readonly #slots = new Set<number>();
  #next = 0x20000000;

  take(): number {
    for (;;) {
      const spi = this.#next++;
      const slot = slotOf(spi);
      if (this.#slots.has(slot)) continue;
      this.#slots.add(slot);
      return spi;
    }
  }

  /** Its SA is gone, and its slot free again. */
  giveBack(spi: number): void {
    this.#slots.delete(slotOf(spi));
  }
}
