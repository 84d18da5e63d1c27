import { AgentError, assertNever } from '../util/index.ts';
import { AttributeReader } from './attribute-reader.ts';
import { decodePluginMessage } from './decode-plugin-message.ts';
import { encodeAgentMessage } from './encode-agent-message.ts';
import { FeedSocket, throwIfAborted } from './feed-socket.ts';
import { type FeedState, stepFeed } from './feed-state.ts';
import type { Frame } from './frame-splitter.ts';
import { shakeHands } from './handshake.ts';
import {
  type Acquire,
  type AgentMessage,
  type Expire,
  type FeedChange,
  type FeedPolicy,
  type FeedSa,
  type Hello,
  type Mapping,
  type PolicyUsageEntry,
  type Ready,
  type SetupFailed,
  type UsageEntry,
  wipeKeys,
} from './messages.ts';
import { cutReason, type OnRequest, PendingRequests } from './pending-requests.ts';
import { pluginError } from './plugin-error.ts';

const DEFAULT_HANDSHAKE_TIMEOUT_MS = 3_000;
const DEFAULT_SNAPSHOT_LIMIT = 1_000_000;
const DEFAULT_PENDING_LIMIT = 4_096;
/** Counters of some two million SAs, or some minutes of small readings. */
const LEISURE_LIMIT_FRAMES = 256;
const ENTRIES_PER_FRAME = 8_192;

/** charon's tables at one moment, in the order of installation. The handler owns the keys. */
export type FeedSnapshot = {
  readonly seq: bigint;
  readonly sas: readonly FeedSa[];
  readonly policies: readonly FeedPolicy[];
};

/**
 * Called synchronously from the socket's read, in the order of the stream: first
 * one snapshot, then changes and requests.
 */
export type FeedHandler = {
  readonly onSnapshot: (snapshot: FeedSnapshot) => void;
  /** What happened already; nobody waits. */
  readonly onChange: (change: FeedChange) => void;
  /** A CHILD_SA could not be set up here; also of before the connection, after its snapshot. */
  readonly onSetupFailed: (failure: SetupFailed) => void;
  /**
   * A worker of charon waits for the answer. Results may come in any order. An
   * AgentError thrown becomes `try-again` or `refused` by its `retryable`; anything
   * else becomes `internal` and ends the connection.
   */
  readonly onRequest: OnRequest;
};

export type KeyfeedOptions = {
  /** Of the plugin's unix socket. */
  readonly path: string;
  /** Who this is, for charon's log: program and version. */
  readonly server: string;
  readonly signal?: AbortSignal | undefined;
  readonly handshakeTimeoutMs?: number | undefined;
  /** More entries than this in a snapshot end the connection with `overflow`. */
  readonly snapshotLimit?: number | undefined;
  /** More unanswered requests than this end the connection with `overflow`. */
  readonly pendingLimit?: number | undefined;
};

/**
 * The agent's end of one connection to charon's plugin (docs/design/keyfeed.md). It
 * does not reconnect: that is the caller's, who opens a new one and gets a new snapshot.
 */
export class KeyfeedConnection implements AsyncDisposable {
  /** Which charon this is, and how long it waits for a result. */
  readonly hello: Hello;
  readonly #socket: FeedSocket;
  readonly #snapshotLimit: number;
  readonly #requests: PendingRequests;
  readonly #attributes = new AttributeReader();
  /** Frames that wait until the socket has room. */
  readonly #leisure: AgentMessage[] = [];
  #state: FeedState = { kind: 'greeted' };
  #snapshot: { readonly sas: FeedSa[]; readonly policies: FeedPolicy[] } = { sas: [], policies: [] };

  private constructor(socket: FeedSocket, hello: Hello, options: KeyfeedOptions) {
    this.#socket = socket;
    this.hello = hello;
    socket.onRoom(() => this.#sendWhatWaits());
    this.#snapshotLimit = options.snapshotLimit ?? DEFAULT_SNAPSHOT_LIMIT;
    this.#requests = new PendingRequests(
      options.pendingLimit ?? DEFAULT_PENDING_LIMIT,
      (result) => this.#send(result),
      (reason) => socket.end(reason),
    );
  }

  /**
   * Connects and shakes hands.
   *
   * Throws AgentError: `unavailable` (nobody listens; retryable), `busy` (another
   * agent is connected), `unsupported` (another version), `malformed`, `deadline`
   * or `aborted`.
   */
  static async open(options: KeyfeedOptions): Promise<KeyfeedConnection> {
    const timeoutMs = options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS;
    throwIfAborted(options.signal);
    const socket = new FeedSocket(options.path);
    const unlink = socket.endOnAbort(options.signal);
    const timer = setTimeout(() => {
      const what = `charon's plugin on ${options.path} did not finish the handshake in ${timeoutMs} ms`;
      socket.end(new AgentError(what, { code: 'deadline', retryable: true }));
    }, timeoutMs);
    try {
      await socket.connected();
      return new KeyfeedConnection(socket, await shakeHands(socket, options.server), options);
    } catch (error) {
      socket.end(error);
      await socket[Symbol.asyncDispose]();
      throw error;
    } finally {
      clearTimeout(timer);
      unlink();
    }
  }

  /**
   * Feeds the handler until the connection ends. Returns when it was disposed;
   * throws what ended it otherwise: an AgentError, or what the handler threw.
   */
  async serve(handler: FeedHandler, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    const unlink = this.#socket.endOnAbort(options.signal);
    try {
      this.#socket.receive((frame) => this.#receive(frame, handler));
      const reason = await this.#socket.ended;
      if (reason !== undefined) throw reason;
    } finally {
      unlink();
      this.#dropSnapshot();
    }
  }

  /** Requests can be answered from now on. To be repeated when a value changes. */
  ready(ready: Omit<Ready, 'kind'>): void {
    this.#send({ kind: 'ready', ...ready });
  }

  /** Requests would fail from now on. */
  notReady(reason: string): void {
    this.#send({ kind: 'not-ready', reason: cutReason(reason) });
  }

  /** An SA reached a lifetime in the dataplane that charon's plugin does not count. */
  expire(expire: Omit<Expire, 'kind'>): void {
    this.#send({ kind: 'expire', ...expire });
  }

  /** A packet matched a trap policy. */
  acquire(acquire: Omit<Acquire, 'kind'>): void {
    this.#send({ kind: 'acquire', ...acquire });
  }

  /** A peer's packets come from another address or port. */
  mapping(mapping: Omit<Mapping, 'kind'>): void {
    this.#send({ kind: 'mapping', ...mapping });
  }

  /** Counters of SAs, for charon's query_sa. They yield to everything else, and are sent as the plugin reads. */
  usage(entries: readonly UsageEntry[]): void {
    this.#sendAtLeisure([...parts(entries)].map((part) => ({ kind: 'usage', entries: part })));
  }

  /** Use times of policies, for charon's query_policy; as `usage`. */
  policyUsage(entries: readonly PolicyUsageEntry[]): void {
    this.#sendAtLeisure([...parts(entries)].map((part) => ({ kind: 'policy-usage', entries: part })));
  }

  /** Closes the connection: the plugin answers what is waiting with "no agent". */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#socket[Symbol.asyncDispose]();
  }

  #sendAtLeisure(messages: readonly AgentMessage[]): void {
    this.#leisure.push(...messages);
    if (this.#leisure.length > LEISURE_LIMIT_FRAMES) {
      const what = `the plugin does not read: ${this.#leisure.length} frames of counters wait`;
      this.#socket.end(new AgentError(what, { code: 'overflow', retryable: true }));
    }
    this.#sendWhatWaits();
  }

  #sendWhatWaits(): void {
    let count = 0;
    for (const message of this.#leisure) {
      if (!this.#socket.hasRoom) break;
      this.#send(message);
      count += 1;
    }
    this.#leisure.splice(0, count);
  }

  /** What is sent after the end is dropped: `serve` tells that it ended. */
  #send(message: AgentMessage): void {
    this.#socket.send(encodeAgentMessage(message));
  }

  #receive({ bytes, offset }: Frame, handler: FeedHandler): void {
    const message = decodePluginMessage(bytes, offset, this.#attributes);
    if (message.kind === 'error') throw pluginError(message);
    let isHandedOver = false;
    try {
      const step = stepFeed(this.#state, message, offset);
      this.#state = step.state;
      switch (step.kind) {
        case 'snapshot-begin':
          break;
        case 'snapshot-entry':
          this.#collect(step.entry);
          isHandedOver = true;
          break;
        case 'snapshot-end': {
          const snapshot = { seq: step.seq, ...this.#snapshot };
          this.#snapshot = { sas: [], policies: [] };
          handler.onSnapshot(snapshot);
          break;
        }
        case 'change':
          isHandedOver = true;
          handler.onChange(step.change);
          break;
        case 'setup-failed':
          handler.onSetupFailed(step.failure);
          break;
        case 'request':
          isHandedOver = true;
          this.#requests.answer(step.request, handler.onRequest);
          break;
        default:
          assertNever(step, 'step');
      }
    } finally {
      if (!isHandedOver) wipeKeys(message);
    }
  }

  #collect(entry: Extract<FeedChange, { kind: 'add-sa' | 'add-policy' }>): void {
    const { sas, policies } = this.#snapshot;
    if (entry.kind === 'add-sa') sas.push(entry.sa);
    else policies.push(entry.policy);
    if (sas.length + policies.length > this.#snapshotLimit) {
      throw new AgentError(`charon's snapshot has more than ${this.#snapshotLimit} entries`, {
        code: 'overflow',
      });
    }
  }

  #dropSnapshot(): void {
    for (const { encrKey, integKey } of this.#snapshot.sas) {
      encrKey?.wipe();
      integKey?.wipe();
    }
    this.#snapshot = { sas: [], policies: [] };
  }
}

function* parts<T>(entries: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < entries.length; at += ENTRIES_PER_FRAME) {
    yield entries.slice(at, at + ENTRIES_PER_FRAME);
  }
}
