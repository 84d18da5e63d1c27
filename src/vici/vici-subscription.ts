import { AgentError, type EventQueue, type Gap } from '../util/index.ts';
import { parseEvent, type ViciEvent } from './events.ts';
import type { RawEvent, ViciConnection } from './vici-connection.ts';

/**
 * Events from the moment of the registration on. The loop over it throws when charon
 * goes away; a `gap` in it says that some were lost because nobody read, and that the
 * whole state has to be looked at. Leaving the loop, or disposing, ends it.
 */
export class ViciSubscription implements AsyncIterable<ViciEvent | Gap>, AsyncDisposable {
  readonly #connection: ViciConnection;
  readonly #queue: EventQueue<RawEvent>;

  constructor(connection: ViciConnection, queue: EventQueue<RawEvent>, signal?: AbortSignal) {
    this.#connection = connection;
    this.#queue = queue;
    const onAbort = (): void => {
      connection.end(
        new AgentError('the VICI subscription was stopped', { code: 'aborted', cause: signal?.reason }),
      );
    };
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    void connection.ended.then((reason) => {
      signal?.removeEventListener('abort', onAbort);
      queue.close(reason);
    });
  }

  /** Resolves when it is over, whyever. */
  get ended(): Promise<unknown> {
    return this.#connection.ended;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ViciEvent | Gap, void, undefined> {
    try {
      for await (const item of this.#queue)
        yield 'lost' in item ? item : parseEvent(item.name, item.decode());
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}
