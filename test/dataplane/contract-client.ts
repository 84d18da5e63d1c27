import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  AcquireWriterRequest,
  type AcquireWriterResponse,
  ApplyRequest,
  type ApplyResponse,
  type GetCapabilitiesResponse,
  type GetRevisionResponse,
  type GetStatusResponse,
  IpsecServiceClient,
  ListPoliciesRequest,
  ListSasRequest,
  type ListSasResponse,
  type Operation,
  type OperationResult,
  type PolicyState,
  ResultCode,
  type SaState,
} from '../../src/proto/index.ts';

const DEADLINE_MS = 10_000;

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

function answer<Response>(call: (callback: Callback<Response>) => unknown): Promise<Response> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error === null ? resolve(response) : reject(error)));
  });
}

/** A plain client of the contract, for tests. */
export class ContractClient implements Disposable {
  readonly grpc: IpsecServiceClient;
  readonly owner: string;
  epoch = 0n;

  constructor(target: string, owner = 'test') {
    this.grpc = new IpsecServiceClient(target, credentials.createInsecure());
    this.owner = owner;
  }

  capabilities(): Promise<GetCapabilitiesResponse> {
    return answer((callback) => this.grpc.getCapabilities({}, callback));
  }

  async acquire(): Promise<void> {
    const request = AcquireWriterRequest.create({ ownerId: this.owner });
    const response = await answer<AcquireWriterResponse>((callback) =>
      this.grpc.acquireWriter(request, callback),
    );
    this.epoch = response.epoch;
  }

  request(operations: readonly Operation[], charonInstanceId = Buffer.from('charon-1')): ApplyRequest {
    return ApplyRequest.create({
      writer: { ownerId: this.owner, epoch: this.epoch, charonInstanceId },
      operations: [...operations],
    });
  }

  apply(...operations: readonly Operation[]): Promise<ApplyResponse> {
    const deadline = new Date(Date.now() + DEADLINE_MS);
    return answer((callback) =>
      this.grpc.apply(this.request(operations), new Metadata(), { deadline }, callback),
    );
  }

  /** Applies one operation. */
  async one(operation: Operation): Promise<OperationResult> {
    const { results } = await this.apply(operation);
    const [result] = results;
    if (result === undefined || results.length !== 1)
      throw new Error(`${results.length} results for 1 operation`);
    return result;
  }

  /** Applies operations that have to succeed. */
  async must(...operations: readonly Operation[]): Promise<void> {
    const { results } = await this.apply(...operations);
    for (const result of results) {
      if (result.code !== ResultCode.RESULT_CODE_OK) throw new Error(`${result.code}: ${result.message}`);
    }
  }

  async sas(request: Partial<ListSasRequest> = {}): Promise<readonly SaState[]> {
    const all: SaState[] = [];
    for await (const chunk of this.grpc.listSas({ ...ListSasRequest.create(), ...request }))
      all.push(...chunk.sas);
    return all;
  }

  async saChunks(request: Partial<ListSasRequest>): Promise<readonly ListSasResponse[]> {
    const chunks: ListSasResponse[] = [];
    const call = this.grpc.listSas({ ...ListSasRequest.create(), ownerId: this.owner, ...request });
    for await (const chunk of call) chunks.push(chunk);
    return chunks;
  }

  /** Grows with every change of the SAD or SPD. */
  async revision(): Promise<bigint> {
    const [revision = 0n] = await this.revisions('');
    return revision;
  }

  /** Of each of the owners. */
  async revisions(...owners: readonly string[]): Promise<readonly bigint[]> {
    const revisions: bigint[] = [];
    for (const ownerId of owners) {
      const { revision } = await answer<GetRevisionResponse>((callback) =>
        this.grpc.getRevision({ ownerId }, callback),
      );
      revisions.push(revision);
    }
    return revisions;
  }

  /** As an agent does after its first comparison. */
  async reportInSync(): Promise<void> {
    const { writer } = this.request([]);
    await answer((callback) => this.grpc.reportInSync({ writer }, callback));
  }

  status(): Promise<GetStatusResponse> {
    return answer((callback) => this.grpc.getStatus({}, callback));
  }

  async policies(): Promise<readonly PolicyState[]> {
    const all: PolicyState[] = [];
    for await (const chunk of this.grpc.listPolicies(ListPoliciesRequest.create({})))
      all.push(...chunk.policies);
    return all;
  }

  [Symbol.dispose](): void {
    this.grpc.close();
  }
}
