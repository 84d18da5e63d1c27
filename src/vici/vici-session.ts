import { AgentError, type Clock, EventQueue, systemClock } from '../util/index.ts';
import { Connections } from './connections.ts';
import { type CallOptions, Deadline } from './deadline.ts';
import type { ViciArguments } from './encode-message.ts';
import { EventHub } from './event-hub.ts';
import type { ViciSection } from './section.ts';
import { Turns } from './turns.ts';
import type { RawEvent, ViciConnection } from './vici-connection.ts';
import type { ViciSubscription } from './vici-subscription.ts';

export type ViciOptions = {
  /** `unix:///path` or `tcp://host:port`. */
  readonly uri: string;
  readonly clock?: Clock | undefined;
  /** Of a call that names none, connecting and waiting for its turn included. */
  readonly timeoutMs?: number | undefined;
  /** How many commands may wait for their turn. */
  readonly waitingLimit?: number | undefined;
  /** How many messages of one stream may be unread. */
  readonly unreadLimit?: number | undefined;
  /** How many events of one subscription may be unread. */
  readonly eventLimit?: number | undefined;
  /**
   * When there is no charon, try again with growing pauses: a call until its deadline, a
   * subscription until it is ended, which then yields a gap. A command that charon may
   * have run is never repeated.
   */
  readonly reconnect?: boolean | undefined;
};

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_WAITING_LIMIT = 1_000;
const DEFAULT_UNREAD_LIMIT = 100_000;
const DEFAULT_EVENT_LIMIT = 4_096;

/** A command that streams events before it replies. */
export type StreamCommand<T> = {
  readonly command: string;
  readonly event: string;
  readonly args: ViciArguments;
  /** What the consumer gets of an event. */
  readonly read: (event: RawEvent) => T;
  /** What to make of the reply; may throw. */
  readonly onReply: (reply: ViciSection) => void;
};

/** A connection of streams: whoever uses it at the moment gets the events. */
type StreamConnection = {
  readonly connection: ViciConnection;
  onEvent: ((event: RawEvent) => void) | undefined;
};

/**
 * Commands by name. They run in order on one connection, which is opened when it is
 * needed and again after it ended; a command whose connection ends is not repeated,
 * because charon may have run it. Subscriptions share another one; each stream has
 * one of its own.
 */
export class ViciSession implements AsyncDisposable {
  readonly #connections: Connections;
  readonly #hub: EventHub;
  readonly #timeoutMs: number;
  readonly #unreadLimit: number;
  readonly #turns: Turns;
  #connection: ViciConnection | undefined;
  /** Of the last stream, for the next one: it has its event registered already. */
  #idle: StreamConnection | undefined;

  constructor(options: ViciOptions) {
    const { uri, clock = systemClock, reconnect = false, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    const { eventLimit = DEFAULT_EVENT_LIMIT } = options;
    this.#connections = new Connections({ uri, clock, reconnect });
    this.#hub = new EventHub({ connections: this.#connections, clock, timeoutMs, eventLimit, reconnect });
    this.#timeoutMs = timeoutMs;
    this.#unreadLimit = options.unreadLimit ?? DEFAULT_UNREAD_LIMIT;
    this.#turns = new Turns(options.waitingLimit ?? DEFAULT_WAITING_LIMIT);
  }

  /**
   * Runs a command. Throws AgentError: `unavailable`, `deadline` or `aborted` (charon
   * may still run it), `unsupported`, `malformed`, `overflow`.
   */
  async request(command: string, args: ViciArguments = {}, options: CallOptions = {}): Promise<ViciSection> {
    using deadline = new Deadline(`VICI ${command}`, options, this.#timeoutMs);
    using _turn = await this.#turns.take(command, deadline);
    if (this.#connection === undefined || this.#connection.isEnded) {
      this.#connection = await this.#connections.open(deadline, () => undefined);
    }
    return await this.#connection.request(command, args, deadline);
  }

  /** The same on a connection of its own: for a command that takes long, and would hold up the others. */
  async requestApart(command: string, args: ViciArguments, options: CallOptions = {}): Promise<ViciSection> {
    using deadline = new Deadline(`VICI ${command}`, options, this.#timeoutMs);
    await using connection = await this.#connections.open(deadline, () => undefined);
    return await connection.request(command, args, deadline);
  }

  /**
   * Runs a command that streams events and then replies; the reply is the generator's
   * result. It is read whether or not the consumer keeps up; one that does not by far
   * gets `overflow`. The command is sent when the first event is asked for. Throws what
   * `request` throws, and what `read` and `onReply` throw.
   */
  async *exchange<T>(
    { command, event, args, read, onReply }: StreamCommand<T>,
    options: CallOptions = {},
  ): AsyncGenerator<T, ViciSection, undefined> {
    const queue = new EventQueue<RawEvent>(this.#unreadLimit);
    const stop = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
    const running = this.#stream(command, event, args, { ...options, signal }, queue);
    // The queue says so, too.
    running.catch(() => undefined);
    try {
      for await (const item of queue) {
        if ('lost' in item) throw unread(command, this.#unreadLimit);
        yield read(item);
      }
      const reply = await running;
      onReply(reply);
      return reply;
    } finally {
      stop.abort();
      await running.catch(() => undefined);
    }
  }

  /** The same for a listing. Throws `refused`, too, when charon's reply says that it failed. */
  stream<T>(
    command: string,
    event: string,
    args: ViciArguments,
    read: (event: RawEvent) => T,
    options?: CallOptions,
  ): AsyncGenerator<T, ViciSection, undefined> {
    const onReply = (reply: ViciSection): void => throwIfRefused(command, reply);
    return this.exchange({ command, event, args, read, onReply }, options);
  }

  /**
   * Registers for events. Once this returns, nothing that happens is missed. The signal
   * ends the subscription, the timeout only concerns its start.
   */
  subscribe(events: readonly string[], options?: CallOptions): Promise<ViciSubscription> {
    return this.#hub.subscribe(events, options);
  }

  /** Closes every connection. What is running or waiting throws `aborted`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
    await this.#hub[Symbol.asyncDispose]();
  }

  async #stream(
    command: string,
    event: string,
    args: ViciArguments,
    options: CallOptions,
    queue: EventQueue<RawEvent>,
  ): Promise<ViciSection> {
    try {
      using deadline = new Deadline(`VICI ${command}`, options, this.#timeoutMs);
      const stream = await this.#takeIdle(deadline);
      let isReusable = false;
      try {
        await stream.connection.register(event, deadline);
        stream.onEvent = (raw) => {
          if (raw.name === event) queue.push(raw);
        };
        const reply = await stream.connection.request(command, args, deadline);
        isReusable = true;
        queue.close();
        return reply;
      } finally {
        stream.onEvent = undefined;
        if (isReusable && this.#idle === undefined) this.#idle = stream;
        else await stream.connection[Symbol.asyncDispose]();
      }
    } catch (error) {
      queue.close(error);
      throw error;
    }
  }

  async #takeIdle(deadline: Deadline): Promise<StreamConnection> {
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle !== undefined && !idle.connection.isEnded) return idle;
    let stream: StreamConnection | undefined;
    const connection = await this.#connections.open(deadline, (event) => stream?.onEvent?.(event));
    stream = { connection, onEvent: undefined };
    return stream;
  }
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
