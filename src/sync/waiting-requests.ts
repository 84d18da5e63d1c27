import type { SyncAnswer, SyncChange, SyncRequest } from './requests.ts';

/** A request or change on its way to the dataplane. */
export type WorkItem = {
  readonly work: SyncRequest | SyncChange;
  /** Undefined when nobody waits. */
  readonly answer: ((answer: SyncAnswer) => void) | undefined;
};

export function tryAgain(reason: string): SyncAnswer {
  return { kind: 'try-again', code: 'unavailable', reason };
}

/** First in, first out; a bound on those that somebody waits for. */
export class WaitingRequests {
  #items: WorkItem[] = [];
  #head = 0;
  #awaited = 0;

  /** Items that somebody waits for. */
  get awaited(): number {
    return this.#awaited;
  }

  push(item: WorkItem): void {
    this.#items.push(item);
    if (item.answer !== undefined) this.#awaited += 1;
  }

  *[Symbol.iterator](): Generator<WorkItem, void, undefined> {
    yield* this.#items.slice(this.#head);
  }

  peek(): WorkItem | undefined {
    return this.#items[this.#head];
  }

  /** Removes the first item. */
  shift(): void {
    const item = this.#items[this.#head];
    if (item === undefined) return;
    if (item.answer !== undefined) this.#awaited -= 1;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    }
  }

  /** Takes one item out, wherever it is; false when it is no longer here. */
  withdraw(item: WorkItem): boolean {
    const index = this.#items.indexOf(item, this.#head);
    if (index === -1) return false;
    this.#items.splice(index, 1);
    if (item.answer !== undefined) this.#awaited -= 1;
    return true;
  }

  /** Takes out everything that matches. */
  drain(matches: (item: WorkItem) => boolean): readonly WorkItem[] {
    const left: WorkItem[] = [];
    const drained: WorkItem[] = [];
    for (const item of this.#items.slice(this.#head)) (matches(item) ? drained : left).push(item);
    this.#items = left;
    this.#head = 0;
    this.#awaited = left.filter((item) => item.answer !== undefined).length;
    return drained;
  }
}
