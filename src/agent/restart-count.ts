/** Counts how often somebody was seen to start anew: by an id that is another one each time. */
export class RestartCount {
  #id: string | undefined;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  note(id: string): void {
    if (this.#id !== undefined && this.#id !== id) this.#count += 1;
    this.#id = id;
  }
}
