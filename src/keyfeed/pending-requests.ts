import { AgentError, errorMessage, InvariantError } from '../util/index.ts';
import type { FeedRequest, Result } from './messages.ts';

const REASON_LIMIT_CHARS = 1_000;

/** What charon gets as the answer. `try-again` is for a passing reason. A `get-spi` needs the SPI. */
export type RequestResult =
  | { readonly kind: 'ok'; readonly spi?: number | undefined }
  | { readonly kind: 'refused' | 'try-again' | 'internal'; readonly reason: string };

export type OnRequest = (request: FeedRequest) => RequestResult | Promise<RequestResult>;

/** Sees to it that every request gets exactly one RESULT, and that they do not pile up. */
export class PendingRequests {
  readonly #limit: number;
  readonly #send: (result: Result) => void;
  readonly #end: (reason: unknown) => void;
  #count = 0;

  constructor(limit: number, send: (result: Result) => void, end: (reason: unknown) => void) {
    this.#limit = limit;
    this.#send = send;
    this.#end = end;
  }

  /**
   * Has `onRequest` answer. An AgentError it throws becomes `try-again` or `refused`;
   * anything else becomes `internal` and ends the connection.
   */
  answer(request: FeedRequest, onRequest: OnRequest): void {
    if (this.#count >= this.#limit) {
      throw new AgentError(`${this.#count} requests of charon are unanswered`, {
        code: 'overflow',
        retryable: true,
      });
    }
    this.#count += 1;
    const settle = (result: RequestResult): void => {
      this.#count -= 1;
      this.#send(toMessage(request, result));
    };
    const fail = (error: unknown): void => {
      settle(failureResult(error));
      if (!(error instanceof AgentError)) this.#end(error);
    };
    let result: RequestResult | Promise<RequestResult>;
    try {
      result = onRequest(request);
    } catch (error) {
      fail(error);
      return;
    }
    // What comes at once leaves at once, in the same turn as the request.
    if (result instanceof Promise) result.then(settle, fail);
    else settle(result);
  }
}

/** An attribute has at most 64 KiB, and charon's log should stay readable. */
export function cutReason(reason: string): string {
  return reason.length > REASON_LIMIT_CHARS ? `${reason.slice(0, REASON_LIMIT_CHARS - 1)}…` : reason;
}

function toMessage({ kind, seq }: FeedRequest, result: RequestResult): Result {
  if (result.kind !== 'ok') {
    return { kind: 'result', seq, code: result.kind, reason: cutReason(result.reason), spi: undefined };
  }
  if (kind === 'get-spi' && result.spi === undefined) {
    throw new InvariantError('a get-spi was answered without an SPI');
  }
  return { kind: 'result', seq, code: 'ok', reason: undefined, spi: result.spi };
}

function failureResult(error: unknown): RequestResult {
  const reason = errorMessage(error);
  if (!(error instanceof AgentError)) return { kind: 'internal', reason };
  return { kind: error.retryable ? 'try-again' : 'refused', reason };
}
