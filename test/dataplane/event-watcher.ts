import { WatchEventsRequest, type WatchEventsResponse } from '../../src/proto/index.ts';
import type { ContractClient } from './contract-client.ts';

/** Events of a client's owner, one after another. */
export class EventWatcher implements Disposable {
  readonly #call: ReturnType<ContractClient['grpc']['watchEvents']>;
  readonly #events: AsyncIterator<WatchEventsResponse>;

  constructor(client: ContractClient, resume: { readonly after?: bigint; readonly bootId?: Buffer } = {}) {
    this.#call = client.grpc.watchEvents(WatchEventsRequest.create({ ownerId: client.owner, ...resume }));
    this.#call.on('error', () => undefined);
    this.#events = this.#call[Symbol.asyncIterator]();
  }

  async next(): Promise<WatchEventsResponse> {
    const { value, done } = await this.#events.next();
    if (done === true) throw new Error('the event stream ended');
    return value;
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
  }
}
