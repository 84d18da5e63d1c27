import { AgentError, type EventQueue, type Gap, MalformedError } from '../util/index.ts';
import { parseEvent, type ViciEvent } from './events.ts';
import type { ViciSection } from './section.ts';
import type { RawEvent } from './vici-connection.ts';

/** In the queue: charon was away, and events with it. */
export type Reconnected = { readonly kind: 'reconnected' };

/** A subscription as the hub holds it. */
export type Subscriber = {
  readonly events: ReadonlySet<string>;
  readonly queue: EventQueue<RawEvent | Reconnected>;
  readonly end: PromiseWithResolvers<unknown>;
  isOver: boolean;
};

/** An event that is not parsed. */
export type ViciEventMessage = { readonly name: string; readonly message: ViciSection };

/** Events were lost: the whole state has to be looked at. */
export type ViciGap = {
  readonly kind: 'gap';
  /** Nobody read in time, or there was no connection. */
  readonly reason: 'unread' | 'reconnected';
  /** Undefined: nobody can know. */
  readonly lost: number | undefined;
};

export type ViciSubscriptionOptions = {
  readonly subscriber: Subscriber;
  readonly signal: AbortSignal | undefined;
  readonly leave: (reason: unknown) => Promise<void>;
  /** The connection sent bytes that make no sense. */
  readonly fail: (error: MalformedError) => void;
};

/**
 * Events from the moment of the registration on. The loop over it throws when charon
 * goes away, unless the client reconnects; a `gap` in it says that some were lost.
 * Leaving the loop, or disposing, ends it.
 */
export class ViciSubscription implements AsyncIterable<ViciEvent | ViciGap>, AsyncDisposable {
  readonly #options: ViciSubscriptionOptions;
  #leaving: Promise<void> | undefined;

  constructor(options: ViciSubscriptionOptions) {
    this.#options = options;
    const { signal, subscriber } = options;
    const onAbort = (): void => {
      const error = new AgentError('the VICI subscription was stopped', {
        code: 'aborted',
        cause: signal?.reason,
      });
      this.#leaving ??= options.leave(error);
    };
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    void subscriber.end.promise.then(() => signal?.removeEventListener('abort', onAbort));
  }

  /** Why it is over, whyever; undefined when it was disposed. Never rejects. */
  get ended(): Promise<unknown> {
    return this.#options.subscriber.end.promise;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ViciEvent | ViciGap, void, undefined> {
    for await (const item of this.messages()) {
      yield 'kind' in item ? item : parseEvent(item.name, item.message);
    }
  }

  /** The same, as charon sent them. */
  async *messages(): AsyncGenerator<ViciEventMessage | ViciGap, void, undefined> {
    try {
      for await (const item of this.#options.subscriber.queue) {
        yield 'kind' in item ? toGap(item) : { name: item.name, message: item.decode() };
      }
    } catch (error) {
      if (error instanceof MalformedError) this.#options.fail(error);
      throw error;
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving ??= this.#options.leave(undefined);
    await this.#leaving;
  }
}

function toGap(item: Reconnected | Gap): ViciGap {
  if (item.kind === 'gap') return { kind: 'gap', reason: 'unread', lost: item.lost };
  return { kind: 'gap', reason: 'reconnected', lost: undefined };
}
