import type { Clock } from '../util/index.ts';
import type { CallOptions } from './ports.ts';

export type RekeySlotsOptions = {
  readonly clock: Clock;
  /** Rekeys that charon may have on its hands for us at once. */
  readonly count: number;
  /** One that is not done by then holds up no other. */
  readonly patienceMs: number;
};

type Slot = { readonly untilMs: number };

/**
 * How many rekeys are under way: the next one is asked for when one is done, so that charon sets the
 * pace, or when the oldest took too long.
 */
export class RekeySlots {
  readonly #options: RekeySlotsOptions;
  /** The oldest first. */
  readonly #taken = new Set<Slot>();
  readonly #byKey = new Map<string, Slot>();
  #released: (() => void) | undefined;

  constructor(options: RekeySlotsOptions) {
    this.#options = options;
  }

  /** Takes one for the SAs of one CHILD_SA, as soon as there is one. One caller at a time. */
  async take(keys: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    const { clock, count, patienceMs } = this.#options;
    while (this.#taken.size >= count) await this.#oneLess(signal);
    const slot = { untilMs: clock.now() + patienceMs };
    this.#taken.add(slot);
    for (const key of keys) this.#byKey.set(key, slot);
  }

  /** One of its SAs is gone or replaced: that rekey is done. */
  release(key: string): void {
    const slot = this.#byKey.get(key);
    if (slot === undefined) return;
    this.#byKey.delete(key);
    if (this.#taken.delete(slot)) this.#released?.();
  }

  async #oneLess(signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#options;
    const [oldest] = this.#taken;
    if (oldest === undefined) return;
    const leftMs = oldest.untilMs - clock.now();
    if (leftMs <= 0) {
      this.#taken.delete(oldest);
      return;
    }
    const released = new AbortController();
    this.#released = () => released.abort();
    try {
      const signals = signal === undefined ? [released.signal] : [released.signal, signal];
      await clock.sleep(leftMs, { signal: AbortSignal.any(signals) });
    } catch (error) {
      if (!released.signal.aborted) throw error;
    } finally {
      this.#released = undefined;
    }
  }
}
