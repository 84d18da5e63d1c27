import { type ClientReadableStream, type CallOptions as GrpcCallOptions, Metadata } from '@grpc/grpc-js';
import {
  type AcquireWriterResponse,
  type ApplyRequest,
  type GetCapabilitiesResponse,
  IpsecServiceClient,
  type ListPoliciesResponse,
  type ListSasResponse,
} from '../proto/index.ts';
import type { ActualPolicy, ActualSa, Operation, SaUsage } from '../sad/index.ts';
import type {
  ApplyOptions,
  ApplyOutcome,
  CallOptions,
  DataplaneCapabilities,
  DataplaneEvent,
  DataplanePort,
  PolicyListing,
  SaListing,
  UsageListing,
} from '../sync/index.ts';
import { ApplyStream } from './apply-stream.ts';
import { createCredentials, type DataplaneTarget } from './credentials.ts';
import { decodeCapabilities } from './decode-capabilities.ts';
import { decodeEvent } from './decode-event.ts';
import { decodePolicyState, decodeSaState, decodeUsage } from './decode-listing.ts';
import { encodeOperation } from './encode-operation.ts';
import { malformed } from './malformed.ts';
import { channelOptions } from './service-config.ts';
import { toAgentError } from './status-error.ts';

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

type Chunk = { readonly bootId: Buffer; readonly complete: boolean };

/** A dataplane behind gRPC. One writer, one owner. */
export class LagopusDataplane implements DataplanePort, AsyncDisposable {
  readonly #client: IpsecServiceClient;
  readonly #ownerId: string;
  readonly #agentId: string;
  readonly #callDeadlineMs: number;
  readonly #listDeadlineMs: number;
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
      writer: {
        ownerId: this.#ownerId,
        epoch: this.#epoch,
        charonInstanceId: Buffer.from(options.charonInstanceId, 'hex'),
      },
      operations: batch.map(encodeOperation),
    };
    return this.#stream.apply(request, options);
  }

  async listSas(nonce: Uint8Array, options?: CallOptions): Promise<SaListing> {
    const request = { ownerId: this.#ownerId, fingerprintNonce: Buffer.from(nonce), countersOnly: false };
    const { bootId, entries } = await this.#list<ListSasResponse, ActualSa>('ListSas', options, {
      start: (callOptions) => this.#client.listSas(request, callOptions),
      decode: ({ sas }) => this.#ours(sas).map(decodeSaState),
    });
    return { bootId, sas: entries };
  }

  async listCounters(options?: CallOptions): Promise<UsageListing> {
    const request = { ownerId: this.#ownerId, fingerprintNonce: Buffer.alloc(0), countersOnly: true };
    const { bootId, entries } = await this.#list<ListSasResponse, SaUsage>('ListSas', options, {
      start: (callOptions) => this.#client.listSas(request, callOptions),
      decode: ({ sas }) => this.#ours(sas).map(decodeUsage),
    });
    return { bootId, usages: entries };
  }

  async listPolicies(options?: CallOptions): Promise<PolicyListing> {
    const { bootId, entries } = await this.#list<ListPoliciesResponse, ActualPolicy>(
      'ListPolicies',
      options,
      {
        start: (callOptions) => this.#client.listPolicies({ ownerId: this.#ownerId }, callOptions),
        decode: ({ policies }) => this.#ours(policies).map(decodePolicyState),
      },
    );
    return { bootId, policies: entries };
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

  /** A server that lists more than it was asked for does not make others' entries ours. */
  #ours<T extends { readonly ownerId: string }>(entries: readonly T[]): readonly T[] {
    return entries.filter(({ ownerId }) => ownerId === this.#ownerId);
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

  /** Decodes chunk by chunk, so that a long listing does not keep requests waiting. */
  async #list<Response extends Chunk, Entry>(
    name: string,
    { signal }: CallOptions = {},
    call: {
      readonly start: (options: Partial<GrpcCallOptions>) => ClientReadableStream<Response>;
      readonly decode: (chunk: Response) => readonly Entry[];
    },
  ): Promise<{ bootId: string; entries: readonly Entry[] }> {
    signal?.throwIfAborted();
    const stream = call.start({ deadline: Date.now() + this.#listDeadlineMs });
    const onAbort = (): void => stream.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    const entries: Entry[] = [];
    let last: Response | undefined;
    try {
      const chunks: AsyncIterable<Response> = stream;
      for await (const chunk of chunks) {
        for (const entry of call.decode(chunk)) entries.push(entry);
        last = chunk;
      }
    } catch (error) {
      throw signal?.aborted ? signal.reason : toAgentError(name, error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    if (last?.complete !== true) throw malformed(`${name} ended before it was complete`);
    return { bootId: last.bootId.toString('hex'), entries };
  }
}
