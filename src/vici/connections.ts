import { AgentError, type Clock, InvariantError } from '../util/index.ts';
import type { Deadline } from './deadline.ts';
import { type RawEvent, ViciConnection } from './vici-connection.ts';

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 2_000;

/** Pauses between attempts that fail: they grow up to a limit. */
export function* backOffMs(): Generator<number, never, undefined> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)) yield delayMs;
}

export type ConnectionsOptions = {
  readonly uri: string;
  readonly clock: Clock;
  /** Try again, until the deadline, when there is no charon. */
  readonly reconnect: boolean;
};

/** Every connection of one client: all of them end with it. */
export class Connections implements AsyncDisposable {
  readonly #options: ConnectionsOptions;
  readonly #open = new Set<ViciConnection>();
  #isClosed = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** `onEvent` is called synchronously from the socket's read. Throws AgentError. */
  async open(deadline: Deadline, onEvent: (event: RawEvent) => void): Promise<ViciConnection> {
    const { uri, clock } = this.#options;
    this.#throwIfClosed();
    const connection = await this.#retry(deadline, () =>
      ViciConnection.open(uri, { deadline, clock, onEvent }),
    );
    this.#open.add(connection);
    void connection.ended.then(() => this.#open.delete(connection));
    if (this.#isClosed) await connection[Symbol.asyncDispose]();
    this.#throwIfClosed();
    return connection;
  }

  /** Closes all of them. What is running on them throws `aborted`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const connection of this.#open) await connection[Symbol.asyncDispose]();
  }

  async #retry<T>(deadline: Deadline, connect: () => Promise<T>): Promise<T> {
    for (const delayMs of backOffMs()) {
      try {
        return await connect();
      } catch (error) {
        const isPassing = error instanceof AgentError && error.code === 'unavailable' && error.retryable;
        if (!this.#options.reconnect || !isPassing) throw error;
        this.#throwIfClosed();
        await deadline.race(this.#options.clock.sleep(delayMs)).catch((late: unknown) => {
          // Why there was no connection says more than that time is over.
          throw late instanceof AgentError && late.code === 'deadline' ? error : late;
        });
      }
    }
    throw new InvariantError('the back-off ended');
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new AgentError('the VICI client is closed', { code: 'aborted' });
  }
}
