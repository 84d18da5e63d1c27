import { createConnection, type Socket } from 'node:net';
import { AgentError, errorMessage } from '../util/index.ts';
import { type Frame, FrameSplitter } from './frame-splitter.ts';

const READ_BUFFER_BYTES = 64 * 1024;
const UNSENT_LIMIT_BYTES = 4 * 1024 * 1024;
/** What is sent at leisure leaves that much room to what is not. */
const LEISURE_BYTES = 256 * 1024;

const NOBODY_LISTENS: ReadonlySet<unknown> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'EAGAIN',
  'ECONNRESET',
  'EPIPE',
]);

/**
 * A unix stream socket that carries frames. It reads into one buffer of its own,
 * which is wiped after every read, so that no copy of a key stays behind. Frames
 * sent within one turn of the event loop leave in one system call.
 */
export class FeedSocket implements AsyncDisposable {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #splitter = new FrameSplitter();
  readonly #end = Promise.withResolvers<unknown>();
  readonly #closed = Promise.withResolvers<void>();
  #onFrame: ((frame: Frame) => void) | undefined;
  #onRoom: (() => void) | undefined;
  #isEnded = false;

  /** Starts to connect. `connected` tells the outcome. */
  constructor(path: string) {
    this.#path = path;
    const onread = {
      buffer: new Uint8Array(READ_BUFFER_BYTES),
      callback: (count: number, buffer: Uint8Array) => this.#read(buffer.subarray(0, count)),
    };
    this.#socket = createConnection({ path, onread });
    this.#socket.pause();
    this.#socket.on('drain', () => this.#onRoom?.());
    this.#socket.on('error', (error) => this.end(describeSocketError(path, error)));
    this.#socket.on('close', () => {
      this.end(this.#describeEnd());
      this.#splitter.wipe();
      this.#closed.resolve();
    });
  }

  /** Why it ended; undefined when it was disposed. Never rejects. */
  get ended(): Promise<unknown> {
    return this.#end.promise;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Resolves once connected; throws what `ended` gives otherwise. */
  async connected(): Promise<void> {
    const isConnected = new Promise<'connected'>((resolve) => {
      this.#socket.once('connect', () => resolve('connected'));
    });
    const outcome = await Promise.race([isConnected, this.ended]);
    if (outcome !== 'connected') throw outcome;
  }

  /** Hands every frame to `onFrame`, synchronously as it is read. What it throws ends the connection. */
  receive(onFrame: (frame: Frame) => void): void {
    this.#onFrame = onFrame;
    this.#socket.resume();
  }

  /** Reads no further; the frames already read still come. */
  pause(): void {
    this.#socket.pause();
  }

  /** Whether what can wait may be sent now; if not, `onRoom` tells when. */
  get hasRoom(): boolean {
    return !this.#isEnded && this.#socket.writableLength < LEISURE_BYTES;
  }

  /** Called whenever everything was sent that had to wait. */
  onRoom(onRoom: () => void): void {
    this.#onRoom = onRoom;
  }

  /** Sends a whole frame. Does nothing once the connection has ended. */
  send(frame: Uint8Array): void {
    if (this.#isEnded) return;
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(frame);
    if (this.#socket.writableLength > UNSENT_LIMIT_BYTES) {
      this.end(
        new AgentError(`${this.#path} does not read: ${this.#socket.writableLength} bytes are unsent`, {
          code: 'overflow',
          retryable: true,
        }),
      );
    }
  }

  /**
   * Closes the connection for this reason; the first one counts. What was sent before
   * goes out as far as the peer's socket buffer has room: nobody waits for the peer.
   */
  end(reason: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#end.resolve(reason);
    this.#socket.uncork();
    this.#socket.destroy();
  }

  /** Ends it when the signal fires. Gives the function that undoes this. */
  endOnAbort(signal: AbortSignal | undefined): () => void {
    if (signal === undefined) return () => undefined;
    const end = (): void => this.end(abortError(signal));
    signal.addEventListener('abort', end, { once: true });
    return () => signal.removeEventListener('abort', end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end(undefined);
    await this.#closed.promise;
  }

  #read(chunk: Uint8Array): boolean {
    try {
      for (const frame of this.#splitter.push(chunk)) {
        if (this.#isEnded) break;
        this.#onFrame?.(frame);
      }
    } catch (error) {
      this.end(error);
    }
    return !this.#socket.isPaused();
  }

  #describeEnd(): AgentError {
    const where = this.#splitter.isAtBoundary ? '' : ' in the middle of a frame';
    return new AgentError(`charon's plugin closed ${this.#path}${where}`, {
      code: 'unavailable',
      retryable: true,
    });
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

function abortError(signal: AbortSignal): AgentError {
  return new AgentError('the key feed was stopped', { code: 'aborted', cause: signal.reason });
}

function describeSocketError(path: string, error: NodeJS.ErrnoException): AgentError {
  const isTransient = NOBODY_LISTENS.has(error.code);
  const hint = isTransient
    ? 'is charon running, with the kernel-lagopus plugin?'
    : "run as root or in the socket's group";
  return new AgentError(`no key feed on ${path} (${errorMessage(error)}): ${hint}`, {
    code: 'unavailable',
    retryable: isTransient,
    cause: error,
  });
}
