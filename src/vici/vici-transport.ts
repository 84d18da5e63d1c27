import { createConnection, type Socket } from 'node:net';
import { AgentError, type Clock, errorMessage } from '../util/index.ts';
import type { Deadline } from './deadline.ts';
import { type Segment, SegmentSplitter } from './segment-splitter.ts';
import { parseViciUri } from './vici-uri.ts';

const FIRST_RETRY_MS = 2;
const LONGEST_RETRY_MS = 100;

/**
 * A socket to charon that carries segments. It always reads: charon buffers without
 * any limit for a client that does not.
 */
export class ViciTransport implements AsyncDisposable {
  readonly #uri: string;
  readonly #socket: Socket;
  readonly #splitter = new SegmentSplitter();
  readonly #end = Promise.withResolvers<unknown>();
  readonly #closed = Promise.withResolvers<void>();
  #isEnded = false;

  private constructor(uri: string, socket: Socket) {
    this.#uri = uri;
    this.#socket = socket;
    socket.on('error', (error) => this.end(describeError(uri, error)));
    socket.on('close', () => {
      this.end(this.#describeEnd());
      this.#closed.resolve();
    });
  }

  /**
   * Connects. charon's listen backlog is 3, so that EAGAIN only means "in a moment".
   *
   * Throws AgentError `unavailable`, or the deadline's.
   */
  static async connect(
    uri: string,
    { deadline, clock }: { readonly deadline: Deadline; readonly clock: Clock },
  ): Promise<ViciTransport> {
    for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_RETRY_MS)) {
      const outcome = await connectOnce(uri, deadline);
      if (outcome.kind === 'connected') return new ViciTransport(uri, outcome.socket);
      if (outcome.error.code !== 'EAGAIN') throw describeError(uri, outcome.error);
      await deadline.race(clock.sleep(delayMs));
    }
  }

  /** Why it ended; undefined when it was disposed. Never rejects. */
  get ended(): Promise<unknown> {
    return this.#end.promise;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Hands over every segment, synchronously as it is read. What `onSegment` throws ends the connection. */
  receive(onSegment: (segment: Segment) => void): void {
    this.#socket.on('data', (chunk) => this.#read(chunk, onSegment));
  }

  /** Sends a whole segment, its length first. Does nothing once the connection has ended. */
  send(segment: Uint8Array): void {
    if (!this.#isEnded) this.#socket.write(segment);
  }

  /** Closes the connection for this reason; the first one counts. */
  end(reason: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#end.resolve(reason);
    this.#socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end(undefined);
    await this.#closed.promise;
  }

  #read(chunk: Uint8Array, onSegment: (segment: Segment) => void): void {
    try {
      for (const segment of this.#splitter.push(chunk)) {
        if (this.#isEnded) break;
        onSegment(segment);
      }
    } catch (error) {
      this.end(error);
    }
  }

  #describeEnd(): AgentError {
    const where = this.#splitter.isAtBoundary ? '' : ' in the middle of a packet';
    return new AgentError(`charon closed ${this.#uri}${where}`, { code: 'unavailable', retryable: true });
  }
}

type ConnectOutcome =
  | { readonly kind: 'connected'; readonly socket: Socket }
  | { readonly kind: 'failed'; readonly error: NodeJS.ErrnoException };

async function connectOnce(uri: string, deadline: Deadline): Promise<ConnectOutcome> {
  const address = parseViciUri(uri);
  const socket = address.kind === 'unix' ? createConnection(address.path) : createConnection(address);
  const outcome = new Promise<ConnectOutcome>((resolve) => {
    socket.once('connect', () => resolve({ kind: 'connected', socket }));
    socket.once('error', (error) => resolve({ kind: 'failed', error }));
  });
  try {
    return await deadline.race(outcome);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function describeError(uri: string, error: NodeJS.ErrnoException): AgentError {
  const isForbidden = error.code === 'EACCES' || error.code === 'EPERM';
  const hint = isForbidden
    ? "run as root or in the socket's group"
    : 'is charon running, with the vici plugin?';
  return new AgentError(`no VICI on ${uri} (${errorMessage(error)}): ${hint}`, {
    code: 'unavailable',
    retryable: !isForbidden,
    cause: error,
  });
}
