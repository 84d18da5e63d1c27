/** The same seed, the same world: an xorshift generator (period 2^32 - 1). */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    // The generator's one fixed point is 0.
    this.#state = seed | 0 || 0x9e37_79b9;
    for (let round = 0; round < 4; round++) this.#next();
  }

  /** 0 <= result < `bound`. */
  int(bound: number): number {
    return Math.floor((this.#next() / 0x1_0000_0000) * bound);
  }

  /** `first` <= result <= `last`. */
  between(first: number, last: number): number {
    return first + this.int(last - first + 1);
  }

  isTrue(percent: number): boolean {
    return this.int(100) < percent;
  }

  bytes(lengthBytes: number): Uint8Array {
    return Uint8Array.from({ length: lengthBytes }, () => this.int(256));
  }

  #next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }
}
