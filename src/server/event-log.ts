import type { WatchEventsRequest, WatchEventsResponse } from '../proto/index.ts';

/** What happened; the log gives it its number. */
export type DataplaneEvent = Omit<WatchEventsResponse, 'id' | 'bootId' | 'boot' | 'gap'>;

/** Events of one owner, or of everybody, numbered from 1; the oldest are forgotten. */
class NumberedEvents {
  readonly #limit: number;
  readonly #events: DataplaneEvent[] = [];
  readonly #watchers = new Set<() => void>();
  #lastId = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get lastId(): number {
    return this.#lastId;
  }

  get oldestId(): number {
    return this.#lastId - this.#events.length + 1;
  }

  at(id: number): DataplaneEvent | undefined {
    return this.#events[id - this.oldestId];
  }

  push(event: DataplaneEvent): void {
    this.#lastId += 1;
    this.#events.push(event);
    if (this.#events.length > this.#limit) this.#events.shift();
    for (const wake of this.#watchers) wake();
  }

  watch(wake: () => void): () => void {
    this.#watchers.add(wake);
    return () => this.#watchers.delete(wake);
  }
}

/** Reads a log for one stream, at the pace of that stream. */
export class EventCursor {
  readonly #events: NumberedEvents;
  readonly #bootId: Buffer;
  #after: number;
  #isStarted = false;
  #hasGap: boolean;

  constructor(
    events: NumberedEvents,
    bootId: Buffer,
    start: { readonly after: number; readonly hasGap: boolean },
  ) {
    this.#events = events;
    this.#bootId = bootId;
    this.#after = start.after;
    this.#hasGap = start.hasGap;
  }

  /** The next message, or undefined until there is one. First of all a boot event, whose id is where it starts. */
  next(): WatchEventsResponse | undefined {
    if (!this.#isStarted) {
      this.#isStarted = true;
      return this.#message({ boot: {} });
    }
    const { oldestId } = this.#events;
    if (this.#hasGap || this.#after + 1 < oldestId) {
      this.#hasGap = false;
      this.#after = Math.max(this.#after, oldestId - 1);
      return this.#message({ gap: {} });
    }
    const event = this.#events.at(this.#after + 1);
    if (event === undefined) return undefined;
    this.#after += 1;
    return this.#message(event);
  }

  /** Calls back whenever there may be more; returns how to stop that. */
  onMore(wake: () => void): () => void {
    return this.#events.watch(wake);
  }

  #message(event: Partial<WatchEventsResponse>): WatchEventsResponse {
    return { ...event, id: BigInt(this.#after), bootId: this.#bootId };
  }
}

/** Every owner's events, and all of them together for watchers that name no owner. */
export class EventLog {
  readonly #bootId: Buffer;
  readonly #limit: number;
  readonly #byOwner = new Map<string, NumberedEvents>();

  constructor(bootId: Buffer, limit: number) {
    this.#bootId = bootId;
    this.#limit = limit;
  }

  publish(owner: string, event: DataplaneEvent): void {
    this.#of(owner).push(event);
    this.#of('').push(event);
  }

  /**
   * Resumes where the request says; when that is of another boot or not known here, starts with what
   * is next, behind a gap.
   */
  open(request: WatchEventsRequest): EventCursor {
    const events = this.#of(request.ownerId);
    if (request.after === 0n)
      return new EventCursor(events, this.#bootId, { after: events.lastId, hasGap: false });
    const isKnown = request.after <= BigInt(events.lastId) && this.#bootId.equals(request.bootId);
    const after = isKnown ? Number(request.after) : events.lastId;
    return new EventCursor(events, this.#bootId, { after, hasGap: !isKnown });
  }

  #of(owner: string): NumberedEvents {
    const known = this.#byOwner.get(owner);
    if (known !== undefined) return known;
    const events = new NumberedEvents(this.#limit);
    this.#byOwner.set(owner, events);
    return events;
  }
}
