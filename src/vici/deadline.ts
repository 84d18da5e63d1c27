import { AgentError } from '../util/index.ts';

/** How long a call may take, and who may stop it earlier. */
export type CallOptions = {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
};

/** Rejects with an AgentError, once the time is over or the caller gave up. */
export class Deadline implements Disposable {
  readonly #what: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #passed = Promise.withResolvers<never>();
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort = (): void => this.#passed.reject(this.#aborted());

  /** `what` is the call as errors name it. Throws when it was aborted before. */
  constructor(what: string, options: CallOptions, defaultTimeoutMs: number) {
    this.#what = what;
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.#signal = options.signal;
    if (this.#signal?.aborted) throw this.#aborted();
    // Nobody need be waiting when it passes.
    this.#passed.promise.catch(() => undefined);
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#timer = setTimeout(() => this.#passed.reject(this.#late()), this.#timeoutMs);
  }

  /** What `work` gives, if that comes in time. `work` goes on otherwise. */
  async race<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#passed.promise]);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #late(): AgentError {
    return new AgentError(`${this.#what}: no answer within ${this.#timeoutMs} ms`, {
      code: 'deadline',
      retryable: true,
    });
  }

  #aborted(): AgentError {
    return new AgentError(`${this.#what}: stopped by the caller`, {
      code: 'aborted',
      cause: this.#signal?.reason,
    });
  }
}
