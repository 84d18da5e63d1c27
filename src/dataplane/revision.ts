/** Grows with every change of the SAD or SPD. */
export class Revision {
  #value = 0n;

  get value(): bigint {
    return this.#value;
  }

  advance(): void {
    this.#value += 1n;
  }
}
