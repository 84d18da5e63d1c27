import { ResultCode } from '../proto/index.ts';
import { Refusal } from '../server/index.ts';
import type { Clock } from '../util/index.ts';

/** Where drawn SPIs come from: the range charon itself uses. */
const FIRST = 0xc0000000;
const LAST = 0xcfffffff;
/** charon's exchange may take 165 s of retransmissions; an agent keeps a stock for 15 s before. */
const HELD_MS = 180_000;
const MAX_HELD = 65_536;
const MAX_DRAWS = 64;

/** Inbound SPIs that were drawn and not used yet. */
export class SpiReservations {
  readonly #clock: Clock;
  /** A whole number from `first` to below `end`. */
  readonly #random: (first: number, end: number) => number;
  /** To when each is held; every one is held equally long, so the oldest is the first. */
  readonly #held = new Map<number, number>();

  constructor(clock: Clock, random: (first: number, end: number) => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * @param isTaken whether an SA has it
   * @throws Refusal when no free one is found
   */
  reserve(isTaken: (spi: number) => boolean): number {
    const now = this.#clock.now();
    for (const [spi, untilMs] of this.#held) {
      if (untilMs > now) break;
      this.#held.delete(spi);
    }
    if (this.#held.size >= MAX_HELD) {
      throw new Refusal(ResultCode.RESULT_CODE_TEMPORARY, `${MAX_HELD} SPIs are reserved and not used yet`);
    }
    for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
      const spi = this.#random(FIRST, LAST + 1);
      if (this.#held.has(spi) || isTaken(spi)) continue;
      this.#held.set(spi, now + HELD_MS);
      return spi;
    }
    throw new Refusal(ResultCode.RESULT_CODE_TEMPORARY, `no free SPI in ${MAX_DRAWS} draws`);
  }

  /** It was used, or given back. */
  release(spi: number): void {
    this.#held.delete(spi);
  }
}
