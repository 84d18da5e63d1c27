import type { Client, ClientDuplexStream } from '@grpc/grpc-js';
import { type ApplyRequest, type ApplyStreamResponse, IpsecServiceClient } from '../proto/index.ts';
import type { ApplyOutcome } from '../sync/index.ts';
import { errorMessage } from '../util/index.ts';
import { decodeResponse } from './decode-result.ts';
import { wipeKeys } from './encode-operation.ts';

type Pending = {
  readonly operations: number;
  readonly frame: Buffer;
  readonly settle: (outcome: ApplyOutcome) => void;
};

const METHOD = IpsecServiceClient.service.applyStream;

/**
 * One ApplyStream: answers are matched with requests by their order. When it breaks, or
 * an answer is late, every request in flight has an unknown outcome and the stream is of
 * no more use.
 */
export class ApplyStream {
  readonly #call: ClientDuplexStream<Buffer, ApplyStreamResponse>;
  readonly #pending: Pending[] = [];
  #broken: string | undefined;

  constructor(client: Client) {
    // The request is encoded here, so that the copies of keys in it can be wiped at once.
    this.#call = client.makeBidiStreamRequest(
      METHOD.path,
      (frame: Buffer) => frame,
      METHOD.responseDeserialize,
    );
    this.#call.on('data', (response: ApplyStreamResponse) => this.#onResponse(response));
    this.#call.on('error', (error: unknown) => this.#break(errorMessage(error)));
    this.#call.on('end', () => this.#break('the dataplane ended the stream'));
  }

  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  /** Sends within the call. Never rejects. */
  apply(
    request: ApplyRequest,
    { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ApplyOutcome> {
    const { promise, resolve } = Promise.withResolvers<ApplyOutcome>();
    if (this.#broken !== undefined || signal?.aborted) {
      wipeKeys(request.operations);
      resolve({ kind: 'rejected', reason: this.#broken ?? 'stopped before it was sent' });
      return promise;
    }
    const frame = METHOD.requestSerialize({ apply: request });
    wipeKeys(request.operations);
    const timer = setTimeout(() => this.#break(`no answer within ${deadlineMs} ms`), deadlineMs);
    const onAbort = (): void => this.#break('stopped while waiting for the answer');
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#pending.push({
      operations: request.operations.length,
      frame,
      settle: (outcome) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        resolve(outcome);
      },
    });
    this.#call.write(frame);
    return promise;
  }

  close(): void {
    this.#break('closed');
  }

  #onResponse(response: ApplyStreamResponse): void {
    const pending = this.#pending.shift();
    if (pending === undefined) {
      this.#break('an answer to no request');
      return;
    }
    let outcome: ApplyOutcome;
    try {
      outcome = decodeResponse(response, pending.operations);
    } catch (error) {
      outcome = { kind: 'unknown', reason: errorMessage(error) };
    }
    pending.frame.fill(0);
    pending.settle(outcome);
    if (outcome.kind === 'unknown') this.#break(outcome.reason);
  }

  #break(reason: string): void {
    if (this.#broken !== undefined) return;
    this.#broken = reason;
    this.#call.cancel();
    for (const { frame, settle } of this.#pending.splice(0)) {
      frame.fill(0);
      settle({ kind: 'unknown', reason });
    }
  }
}
