/** Items between the gap before them and now were lost because nobody read in time. */
export type Gap = { readonly kind: 'gap'; readonly lost: number };

/**
 * A bounded queue from one producer to one consumer that never blocks the producer:
 * when it is full its content is dropped and replaced by one gap, which tells the
 * consumer to look at the whole state again. Ends when closed and drained, or when
 * the consumer breaks out of the loop.
 */
export class EventQueue<T> implements AsyncIterable<T | Gap>, AsyncDisposable {
  readonly #limit: number;
  #items: T[] = [];
  #lost = 0;
  #isClosed = false;
  #failure: unknown;
  #wake: (() => void) | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(item: T): void {
    if (this.#isClosed) return;
    if (this.#items.length >= this.#limit) {
      this.#lost += this.#items.length;
      this.#items = [];
    }
    this.#items.push(item);
    this.#notify();
  }

  /** Ends the stream after what is queued; with an error, the consumer's loop throws it. */
  close(failure?: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#failure = failure;
    this.#notify();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T | Gap, void, undefined> {
    try {
      for (;;) {
        if (this.#lost > 0) {
          const lost = this.#lost;
          this.#lost = 0;
          yield { kind: 'gap', lost };
        }
        const items = this.#items;
        this.#items = [];
        for (const item of items) yield item;
        if (this.#items.length > 0 || this.#lost > 0) continue;
        if (this.#isClosed) {
          if (this.#failure !== undefined) throw this.#failure;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
