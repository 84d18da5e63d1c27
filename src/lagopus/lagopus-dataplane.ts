import { type CallOptions as GrpcCallOptions, Metadata } from '@grpc/grpc-js';
import {
  type AcquireWriterResponse,
  type ApplyRequest,
  type GetCapabilitiesResponse,
  type GetRevisionResponse,
  type GetStatusResponse,
  IpsecServiceClient,
  IpsecServiceService,
  ListPoliciesRequest,
  ListSasRequest,
  type ReportInSyncResponse,
  type Writer,
} from '../proto/index.ts';
import type { Operation } from '../sad/index.ts';
import type {
  ApplyOptions,
  ApplyOutcome,
  CallOptions,
  DataplaneCapabilities,
  DataplaneEvent,
  DataplanePort,
  PolicyListing,
  RevisionReading,
  SaListing,
  UsageListing,
  UsageOptions,
} from '../sync/index.ts';
import { ApplyStream } from './apply-stream.ts';
import { createCredentials, type DataplaneTarget } from './credentials.ts';
import { decodeCapabilities } from './decode-capabilities.ts';
import { decodeEvent } from './decode-event.ts';
import { type DataplaneStatus, decodeStatus } from './decode-status.ts';
import { encodeOperation } from './encode-operation.ts';
import { malformed } from './malformed.ts';
import {
  type ListingChunk,
  type ListingReaderOptions,
  readPolicyChunk,
  readSaChunk,
  readUsageChunk,
} from './read-listing.ts';
import { channelOptions } from './service-config.ts';
import { toAgentError } from './status-error.ts';
import { Texts } from './wire-reader.ts';

export type LagopusDataplaneOptions = DataplaneTarget & {
  /** Whose entries are ours: one name per charon. */
  readonly ownerId: string;
  /**
   * Names this process and no other: while it is connected, the dataplane lets no other agent write.
   * Without it the writer's role goes to whoever asks last.
   */
  readonly agentId?: string;
  /** For calls that answer at once. */
  readonly callDeadlineMs?: number;
  /** For a complete listing. */
  readonly listDeadlineMs?: number;
};

type Listing<Entry> = {
  readonly bootId: string;
  readonly entries: readonly Entry[];
  readonly listedAtMs: bigint;
};

type ReadChunk<Entry> = (message: Buffer, options: ListingReaderOptions) => ListingChunk<Entry>;

type ListCall<Entry> = {
  readonly method: { readonly path: string };
  readonly name: string;
  /** Encoded. */
  readonly request: Buffer;
  readonly read: ReadChunk<Entry>;
};

/** A dataplane behind gRPC. One writer, one owner. */
export class LagopusDataplane implements DataplanePort, AsyncDisposable {
  readonly #client: IpsecServiceClient;
  readonly #ownerId: string;
  readonly #agentId: string;
  readonly #callDeadlineMs: number;
  readonly #listDeadlineMs: number;
  readonly #texts = new Texts();
  #stream: ApplyStream | undefined;
  #epoch = 0n;
  /** The last event seen, to resume after. */
  #lastEvent = { id: 0n, bootId: Buffer.alloc(0) };

  private constructor(client: IpsecServiceClient, options: LagopusDataplaneOptions) {
    this.#client = client;
    this.#ownerId = options.ownerId;
    this.#agentId = options.agentId ?? '';
    this.#callDeadlineMs = options.callDeadlineMs ?? 2_000;
    this.#listDeadlineMs = options.listDeadlineMs ?? 10_000;
  }

  /**
   * Connects when it is first used.
   *
   * @throws AgentError `invalid-input`, see `createCredentials`
   */
  static async open(options: LagopusDataplaneOptions): Promise<LagopusDataplane> {
    const credentials = await createCredentials(options);
    const client = new IpsecServiceClient(
      options.target,
      credentials,
      channelOptions(options.target, options.tls?.serverName),
    );
    return new LagopusDataplane(client, options);
  }

  /** Does not wait for a connection: while there is none the error says why. */
  async capabilities(options?: CallOptions): Promise<DataplaneCapabilities> {
    const response = await this.#unary<GetCapabilitiesResponse>(
      'GetCapabilities',
      options,
      (callOptions, done) => this.#client.getCapabilities({}, new Metadata(), callOptions, done),
    );
    return decodeCapabilities(response);
  }

  async acquireWriter(options?: CallOptions): Promise<void> {
    // What a broken stream still holds must not follow under the new epoch.
    this.#stream?.close();
    this.#stream = undefined;
    const { epoch } = await this.#unary<AcquireWriterResponse>(
      'AcquireWriter',
      options,
      (callOptions, done) =>
        this.#client.acquireWriter(
          { ownerId: this.#ownerId, agentId: this.#agentId },
          new Metadata(),
          callOptions,
          done,
        ),
    );
    this.#epoch = epoch;
    this.#stream = new ApplyStream(this.#client);
  }

  apply(batch: readonly Operation[], options: ApplyOptions): Promise<ApplyOutcome> {
    if (this.#stream === undefined || this.#stream.isBroken) this.#stream = new ApplyStream(this.#client);
    const request: ApplyRequest = {
      writer: this.#writer(options.charonInstanceId),
      operations: batch.map(encodeOperation),
    };
    return this.#stream.apply(request, options);
  }

  async reportInSync(options?: CallOptions): Promise<void> {
    await this.#unary<ReportInSyncResponse>('ReportInSync', options, (callOptions, done) =>
      this.#client.reportInSync({ writer: this.#writer('') }, new Metadata(), callOptions, done),
    );
  }

  async status(options?: CallOptions): Promise<DataplaneStatus> {
    const response = await this.#unary<GetStatusResponse>('GetStatus', options, (callOptions, done) =>
      this.#client.getStatus({}, new Metadata(), callOptions, done),
    );
    return decodeStatus(response);
  }

  async listSas(nonce: Uint8Array, options?: CallOptions): Promise<SaListing> {
    const request = { fingerprintNonce: Buffer.from(nonce), countersOnly: false, usedSinceMs: 0n };
    const { bootId, entries } = await this.#listSas(request, readSaChunk, options);
    return { bootId, sas: entries };
  }

  async listCounters(options?: UsageOptions): Promise<UsageListing> {
    const usedSinceMs = options?.usedSinceMs ?? 0n;
    const request = { fingerprintNonce: Buffer.alloc(0), countersOnly: true, usedSinceMs };
    const { bootId, entries, listedAtMs } = await this.#listSas(request, readUsageChunk, options);
    return { bootId, usages: entries, listedAtMs };
  }

  async listPolicies(options?: UsageOptions): Promise<PolicyListing> {
    const request = { ownerId: this.#ownerId, usedSinceMs: options?.usedSinceMs ?? 0n };
    const { bootId, entries, listedAtMs } = await this.#list(options, {
      ...{ method: IpsecServiceService.listPolicies, name: 'ListPolicies' },
      request: Buffer.from(ListPoliciesRequest.encode(request).finish()),
      read: readPolicyChunk,
    });
    return { bootId, policies: entries, listedAtMs };
  }

  async revision(options?: CallOptions): Promise<RevisionReading> {
    const { bootId, revision } = await this.#unary<GetRevisionResponse>(
      'GetRevision',
      options,
      (callOptions, done) =>
        this.#client.getRevision({ ownerId: this.#ownerId }, new Metadata(), callOptions, done),
    );
    return { bootId: bootId.toString('hex'), revision };
  }

  async *watchEvents({ signal }: CallOptions = {}): AsyncGenerator<DataplaneEvent, void, undefined> {
    const call = this.#client.watchEvents({
      ownerId: this.#ownerId,
      after: this.#lastEvent.id,
      bootId: this.#lastEvent.bootId,
      agentId: this.#agentId,
    });
    const onAbort = (): void => call.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) call.cancel();
    try {
      for await (const message of call) {
        if (message.boot === undefined) this.#lastEvent = { id: message.id, bootId: message.bootId };
        const event = decodeEvent(message);
        if (event !== undefined) yield event;
      }
    } catch (error) {
      throw toAgentError('WatchEvents', error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      call.cancel();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream?.close();
    this.#client.close();
  }

  #writer(charonInstanceId: string): Writer {
    return {
      ownerId: this.#ownerId,
      epoch: this.#epoch,
      charonInstanceId: Buffer.from(charonInstanceId, 'hex'),
    };
  }

  #listSas<Entry>(
    request: Omit<ListSasRequest, 'ownerId'>,
    read: ReadChunk<Entry>,
    options: CallOptions | undefined,
  ): Promise<Listing<Entry>> {
    const message = ListSasRequest.encode({ ownerId: this.#ownerId, ...request }).finish();
    return this.#list(options, {
      ...{ method: IpsecServiceService.listSas, name: 'ListSas', request: Buffer.from(message), read },
    });
  }

  #unary<T>(
    name: string,
    { signal }: CallOptions = {},
    start: (
      options: Partial<GrpcCallOptions>,
      done: (error: Error | null, response: T) => void,
    ) => { cancel: () => void },
  ): Promise<T> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => call.cancel();
      const call = start({ deadline: Date.now() + this.#callDeadlineMs }, (error, response) => {
        signal?.removeEventListener('abort', onAbort);
        if (error === null) resolve(response);
        else reject(signal?.aborted ? signal.reason : toAgentError(name, error));
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Reads chunk by chunk, so that a long listing does not keep requests waiting. */
  async #list<Entry>(
    { signal }: CallOptions = {},
    { method, name, request, read }: ListCall<Entry>,
  ): Promise<Listing<Entry>> {
    signal?.throwIfAborted();
    const stream = this.#client.makeServerStreamRequest(method.path, asItIs, asItIs, request, {
      deadline: Date.now() + this.#listDeadlineMs,
    });
    const onAbort = (): void => stream.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    const readerOptions = { ownerId: Buffer.from(this.#ownerId), texts: this.#texts };
    const entries: Entry[] = [];
    let last: ListingChunk<Entry> | undefined;
    try {
      const messages: AsyncIterable<Buffer> = stream;
      for await (const message of messages) {
        last = read(message, readerOptions);
        for (const entry of last.entries) entries.push(entry);
      }
    } catch (error) {
      throw signal?.aborted ? signal.reason : toAgentError(name, error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    if (last?.isComplete !== true) throw malformed(`${name} ended before it was complete`);
    return { bootId: last.bootId, entries, listedAtMs: last.listedAtMs };
  }
}

/** Messages are read here and not by gRPC, which would take one that is malformed for a failed call. */
function asItIs(message: Buffer): Buffer {
  return message;
}
