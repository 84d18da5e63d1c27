import type { Clock } from '../util/index.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { SyncAnswer, SyncRequest } from './requests.ts';

type ReserveSpi = SyncRequest & { readonly kind: 'reserve-spi' };
type Spi = NonNullable<(SyncAnswer & { readonly kind: 'ok' })['spi']>;
type Reserved = { readonly spi: Spi; readonly untilMs: number };

/** The dataplane holds an SPI that much longer than an IKE exchange can take; docs/design/dataplane.md. */
const SHELF_LIFE_MS = 15_000;
const MAX_REFILL = 32;

export type SpiStockOptions = {
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  /** Has the dataplane reserve one. Never rejects. */
  readonly reserve: (request: ReserveSpi, signal?: AbortSignal) => Promise<SyncAnswer>;
};

/** SPIs for one receiver. */
type Shelf = {
  /** The oldest first. */
  readonly reserved: Reserved[];
  /** How many are fetched next. */
  refill: number;
  isRefilling: boolean;
};

/**
 * SPIs the dataplane has reserved ahead, so that a burst of setups does not pay a round trip for each:
 * one batch fetches many. The more are asked for, the more are kept; a quiet agent keeps next to none
 * and fetches none. What gets too old is not handed out, and ends in the dataplane by itself.
 */
export class SpiStock {
  readonly #options: SpiStockOptions;
  readonly #shelves = new Map<string, Shelf>();

  constructor(options: SpiStockOptions) {
    this.#options = options;
  }

  /** From the stock if there is one, else from the dataplane. */
  take(request: ReserveSpi, signal?: AbortSignal): Promise<SyncAnswer> {
    // An SPI belongs to who receives; who will send does not matter.
    const key = `${request.protocol} ${request.destination}`;
    const shelf = this.#shelves.get(key) ?? { reserved: [], refill: 1, isRefilling: false };
    this.#shelves.set(key, shelf);
    this.#discardOld(shelf);
    const spi = shelf.reserved.shift()?.spi;
    const answer =
      spi === undefined
        ? this.#options.reserve(request, signal)
        : Promise.resolve({ kind: 'ok', spi } as const);
    this.#refill(shelf, request);
    return answer;
  }

  /** The dataplane may have forgotten them. */
  clear(): void {
    this.#shelves.clear();
  }

  #discardOld(shelf: Shelf): void {
    const now = this.#options.clock.now();
    const firstGood = shelf.reserved.findIndex(({ untilMs }) => untilMs > now);
    const old = firstGood === -1 ? shelf.reserved.length : firstGood;
    if (old === 0) return;
    shelf.reserved.splice(0, old);
    shelf.refill = 1;
  }

  #refill(shelf: Shelf, request: ReserveSpi): void {
    const { clock, tasks, reserve } = this.#options;
    if (shelf.isRefilling || 2 * shelf.reserved.length >= shelf.refill) return;
    const untilMs = clock.now() + SHELF_LIFE_MS;
    const answers = Array.from({ length: shelf.refill }, () => reserve(request));
    shelf.refill = Math.min(2 * shelf.refill, MAX_REFILL);
    shelf.isRefilling = true;
    tasks.spawn(async () => {
      for (const answer of await Promise.all(answers)) {
        if (answer.kind === 'ok' && answer.spi !== undefined)
          shelf.reserved.push({ spi: answer.spi, untilMs });
      }
      shelf.isRefilling = false;
    });
  }
}
