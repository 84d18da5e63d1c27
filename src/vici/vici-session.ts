import { AgentError, type Clock, EventQueue, systemClock } from '../util/index.ts';
import { type CallOptions, Deadline } from './deadline.ts';
import type { ViciArguments } from './encode-message.ts';
import type { ViciSection } from './section.ts';
import { Turns } from './turns.ts';
import { type RawEvent, ViciConnection } from './vici-connection.ts';
import { ViciSubscription } from './vici-subscription.ts';

export type ViciOptions = {
  /** `unix:///path` or `tcp://host:port`. */
  readonly uri: string;
  readonly clock?: Clock | undefined;
  /** Of a call that names none, connecting and waiting for its turn included. */
  readonly timeoutMs?: number | undefined;
  /** How many commands may wait for their turn. */
  readonly waitingLimit?: number | undefined;
  /** How many messages of one stream, or of one subscription, may be unread. */
  readonly unreadLimit?: number | undefined;
};

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_WAITING_LIMIT = 1_000;
const DEFAULT_UNREAD_LIMIT = 100_000;

/**
 * Commands by name. They run in order on one connection, which is opened when it is
 * needed and again after it ended; a command whose connection ends is not repeated,
 * because charon may have run it. Subscriptions have connections of their own.
 */
export class ViciSession implements AsyncDisposable {
  readonly #uri: string;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #unreadLimit: number;
  readonly #turns: Turns;
  /** All that are open, those of subscriptions too. */
  readonly #connections = new Set<ViciConnection>();
  #connection: ViciConnection | undefined;
  #onEvent: ((event: RawEvent) => void) | undefined;
  #isClosed = false;

  constructor(options: ViciOptions) {
    this.#uri = options.uri;
    this.#clock = options.clock ?? systemClock;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#unreadLimit = options.unreadLimit ?? DEFAULT_UNREAD_LIMIT;
    this.#turns = new Turns(options.waitingLimit ?? DEFAULT_WAITING_LIMIT);
  }

  /**
   * Runs a command. Throws AgentError: `unavailable`, `deadline` or `aborted` (charon
   * may still run it), `unsupported`, `malformed`, `overflow`.
   */
  async request(command: string, args: ViciArguments = {}, options: CallOptions = {}): Promise<ViciSection> {
    return await this.#run(command, options, (connection, deadline) =>
      connection.request(command, args, deadline),
    );
  }

  /** The same on a connection of its own: for a command that takes long, and would hold up the others. */
  async requestApart(command: string, args: ViciArguments, options: CallOptions = {}): Promise<ViciSection> {
    using deadline = new Deadline(`VICI ${command}`, options, this.#timeoutMs);
    await using connection = await this.#open(deadline, () => undefined);
    return await connection.request(command, args, deadline);
  }

  /**
   * Runs a command that answers with a stream of `event`s. It is read whether or not
   * the consumer keeps up; one that does not by far gets `overflow`. Throws what
   * `request` throws, and `refused` when charon's reply says that it failed.
   */
  async *stream(
    command: string,
    event: string,
    args: ViciArguments = {},
    options: CallOptions = {},
  ): AsyncGenerator<ViciSection, void, undefined> {
    const queue = new EventQueue<RawEvent>(this.#unreadLimit);
    const stop = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
    const running = this.#run(command, { ...options, signal }, async (connection, deadline) => {
      await connection.register(event, deadline);
      this.#onEvent = (raw) => {
        if (raw.name === event) queue.push(raw);
      };
      try {
        throwIfRefused(command, await connection.request(command, args, deadline));
      } finally {
        this.#onEvent = undefined;
      }
    }).then(
      () => queue.close(),
      (error: unknown) => queue.close(error),
    );
    try {
      for await (const item of queue) {
        if ('lost' in item) throw unread(command, this.#unreadLimit);
        yield item.decode();
      }
    } finally {
      stop.abort();
      await running;
    }
  }

  /**
   * Registers for events on a connection of its own. Once this returns, nothing that
   * happens is missed. The signal ends the subscription, the timeout only concerns
   * its start.
   */
  async subscribe(events: readonly string[], options: CallOptions = {}): Promise<ViciSubscription> {
    using deadline = new Deadline(`VICI events ${events.join(', ')}`, options, this.#timeoutMs);
    const queue = new EventQueue<RawEvent>(this.#unreadLimit);
    const connection = await this.#open(deadline, (event) => queue.push(event));
    try {
      for (const event of events) await connection.register(event, deadline);
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
    return new ViciSubscription(connection, queue, options.signal);
  }

  /** Closes every connection. What is running or waiting throws `aborted`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const connection of this.#connections) await connection[Symbol.asyncDispose]();
  }

  async #run<T>(
    what: string,
    options: CallOptions,
    work: (connection: ViciConnection, deadline: Deadline) => Promise<T>,
  ): Promise<T> {
    using deadline = new Deadline(`VICI ${what}`, options, this.#timeoutMs);
    using _turn = await this.#turns.take(what, deadline);
    return await work(await this.#connected(deadline), deadline);
  }

  async #connected(deadline: Deadline): Promise<ViciConnection> {
    if (this.#connection === undefined || this.#connection.isEnded) {
      this.#connection = await this.#open(deadline, (event) => this.#onEvent?.(event));
    }
    return this.#connection;
  }

  async #open(deadline: Deadline, onEvent: (event: RawEvent) => void): Promise<ViciConnection> {
    if (this.#isClosed) throw clientClosed();
    const clock = this.#clock;
    const connection = await ViciConnection.open(this.#uri, { deadline, clock, onEvent });
    if (this.#isClosed) {
      await connection[Symbol.asyncDispose]();
      throw clientClosed();
    }
    this.#connections.add(connection);
    void connection.ended.then(() => this.#connections.delete(connection));
    return connection;
  }
}

function clientClosed(): AgentError {
  return new AgentError('the VICI client is closed', { code: 'aborted' });
}

function throwIfRefused(command: string, reply: ViciSection): void {
  if (reply.text('success') !== 'no') return;
  throw new AgentError(`VICI ${command}: ${reply.text('errmsg') ?? 'charon gives no reason'}`, {
    code: 'refused',
  });
}

function unread(command: string, limit: number): AgentError {
  return new AgentError(`VICI ${command}: more than ${limit} messages are unread`, {
    code: 'overflow',
    retryable: true,
  });
}
