/** Grows by one with every change of the SAD or SPD: each owner's, and everybody's under the empty name. */
export class Revisions {
  readonly #byOwner = new Map<string, bigint>();

  of(owner: string): bigint {
    return this.#byOwner.get(owner) ?? 0n;
  }

  advance(owner: string): void {
    for (const name of [owner, '']) this.#byOwner.set(name, this.of(name) + 1n);
  }
}
