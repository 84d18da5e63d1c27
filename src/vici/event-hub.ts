import { AgentError, type Clock, EventQueue, MalformedError } from '../util/index.ts';
import { backOffMs, type Connections } from './connections.ts';
import { type CallOptions, Deadline } from './deadline.ts';
import { Turns } from './turns.ts';
import type { RawEvent, ViciConnection } from './vici-connection.ts';
import { type Reconnected, type Subscriber, ViciSubscription } from './vici-subscription.ts';

export type EventHubOptions = {
  readonly connections: Connections;
  readonly clock: Clock;
  /** Of one exchange with charon. */
  readonly timeoutMs: number;
  /** How many events a subscription may have unread. */
  readonly eventLimit: number;
  readonly reconnect: boolean;
};

/** Registrations that wait for their turn; more than anybody has subscriptions. */
const WAITING_LIMIT = 1_000;

/**
 * The one connection for events, which all subscriptions share: charon sends an event
 * once, whoever wants it. It is opened for the first subscription and closed with the
 * last. When charon goes away the subscriptions end, or, with `reconnect`, the events
 * are registered again with the next charon and every subscription gets a gap.
 */
export class EventHub implements AsyncDisposable {
  readonly #options: EventHubOptions;
  readonly #subscribers = new Set<Subscriber>();
  readonly #turns = new Turns(WAITING_LIMIT);
  readonly #stop = new AbortController();
  #connection: ViciConnection | undefined;
  #reconnecting: Promise<void> | undefined;
  #hasLostEvents = false;

  constructor(options: EventHubOptions) {
    this.#options = options;
  }

  /** Once this returns, nothing that happens is missed. The signal ends the subscription, too. */
  async subscribe(events: readonly string[], options: CallOptions = {}): Promise<ViciSubscription> {
    const what = `VICI events ${events.join(', ')}`;
    using deadline = new Deadline(what, options, this.#options.timeoutMs);
    const subscriber: Subscriber = {
      events: new Set(events),
      queue: new EventQueue<RawEvent | Reconnected>(this.#options.eventLimit),
      end: Promise.withResolvers(),
      isOver: false,
    };
    try {
      // On its own deadline: giving up here must not cost the others their connection.
      await deadline.race(this.#join(subscriber, what));
    } catch (error) {
      await this.#leave(subscriber, error);
      throw error;
    }
    return new ViciSubscription({
      subscriber,
      signal: options.signal,
      leave: (reason) => this.#leave(subscriber, reason),
      fail: (error) => this.#connection?.end(error),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const subscriber of this.#subscribers) await this.#leave(subscriber, closed());
    await this.#reconnecting;
  }

  async #join(subscriber: Subscriber, what: string): Promise<void> {
    using deadline = this.#deadline(what);
    using _turn = await this.#turns.take(what, deadline);
    if (subscriber.isOver) return;
    const connection = await this.#connected(deadline);
    this.#subscribers.add(subscriber);
    try {
      for (const event of subscriber.events) await connection.register(event, deadline);
    } finally {
      // The caller gave up in the meantime.
      if (subscriber.isOver) this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) await this.#close();
    }
  }

  async #leave(subscriber: Subscriber, reason: unknown): Promise<void> {
    this.#subscribers.delete(subscriber);
    finish(subscriber, reason);
    if (this.#subscribers.size === 0) return await this.#close();
    const wanted = this.#wanted();
    const unwanted = [...subscriber.events].filter((event) => !wanted.has(event));
    if (unwanted.length === 0 || this.#connection === undefined) return;
    // If it fails the connection has ended, and its end is what everybody is told.
    await this.#unregister(this.#connection, unwanted).catch(() => undefined);
  }

  async #close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.[Symbol.asyncDispose]();
  }

  async #unregister(connection: ViciConnection, events: readonly string[]): Promise<void> {
    using deadline = this.#deadline('VICI event-unregister');
    using _turn = await this.#turns.take('VICI event-unregister', deadline);
    for (const event of events) {
      // Somebody may want it again by now.
      if (!this.#wanted().has(event)) await connection.unregister(event, deadline);
    }
  }

  /** Opens the connection if there is none, and registers what all subscriptions want. In one's turn. */
  async #connected(deadline: Deadline): Promise<ViciConnection> {
    if (this.#connection !== undefined && !this.#connection.isEnded) return this.#connection;
    const connection = await this.#options.connections.open(deadline, (event) => this.#dispatch(event));
    this.#connection = connection;
    void connection.ended.then((reason) => this.#onLost(connection, reason));
    if (!this.#hasLostEvents) return connection;
    for (const subscriber of this.#subscribers) await this.#registerAgain(connection, subscriber, deadline);
    this.#hasLostEvents = false;
    return connection;
  }

  async #registerAgain(
    connection: ViciConnection,
    subscriber: Subscriber,
    deadline: Deadline,
  ): Promise<void> {
    try {
      for (const event of subscriber.events) await connection.register(event, deadline);
      subscriber.queue.push({ kind: 'reconnected' });
    } catch (error) {
      // Another charon, which lacks an event: only those who wanted it are concerned.
      if (!(error instanceof AgentError) || error.code !== 'unsupported') throw error;
      this.#subscribers.delete(subscriber);
      finish(subscriber, error);
    }
  }

  #onLost(connection: ViciConnection, reason: unknown): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (this.#options.reconnect && this.#isPassing(reason)) {
      this.#hasLostEvents = true;
      this.#reconnecting ??= this.#reconnect();
      return;
    }
    for (const subscriber of this.#subscribers) finish(subscriber, reason ?? closed());
    this.#subscribers.clear();
  }

  #isPassing(reason: unknown): boolean {
    if (this.#stop.signal.aborted || this.#options.connections.isClosed) return false;
    // Malformed bytes concern one connection: a new one begins at a boundary.
    return reason instanceof MalformedError || (reason instanceof AgentError && reason.retryable);
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#stop;
    for (const delayMs of backOffMs()) {
      try {
        await this.#options.clock.sleep(delayMs, { signal });
        using deadline = this.#deadline('VICI events again');
        using _turn = await this.#turns.take('VICI events again', deadline);
        if (this.#subscribers.size > 0) await this.#connected(deadline);
        break;
      } catch (error) {
        if (this.#isPassing(error)) continue;
        for (const subscriber of this.#subscribers) finish(subscriber, error);
        this.#subscribers.clear();
        break;
      }
    }
    this.#reconnecting = undefined;
    // It may have been lost again in the meantime.
    if (this.#hasLostEvents && this.#subscribers.size > 0) this.#reconnecting = this.#reconnect();
    else this.#hasLostEvents = false;
  }

  #dispatch(event: RawEvent): void {
    for (const { events, queue } of this.#subscribers) {
      if (events.has(event.name)) queue.push(event);
    }
  }

  #wanted(): ReadonlySet<string> {
    return new Set([...this.#subscribers].flatMap(({ events }) => [...events]));
  }

  #deadline(what: string): Deadline {
    return new Deadline(what, {}, this.#options.timeoutMs);
  }
}

function finish(subscriber: Subscriber, reason: unknown): void {
  subscriber.isOver = true;
  subscriber.queue.close(reason);
  subscriber.end.resolve(reason);
}

function closed(): AgentError {
  return new AgentError('the VICI client is closed', { code: 'aborted' });
}
