import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import {
  Algorithm,
  type ApplyRequest,
  type ApplyResponse,
  type ApplyStreamRequest,
  type ApplyStreamResponse,
  Feature,
  GetCapabilitiesResponse,
  type GetStatusResponse,
  type IpsecServiceServer,
  IpsecServiceService,
  type ListPoliciesRequest,
  type ListPoliciesResponse,
  type ListSasRequest,
  type ListSasResponse,
  Mode,
  type Operation,
  OperationResult,
  type Policy,
  type PolicyId,
  PolicyState,
  Protocol,
  ResultCode,
  Sa,
  SaCounters,
  type SaId,
  SaState,
  WatchEventsResponse,
} from '../../src/proto/index.ts';

/** How the next operation of a kind fails. */
export type Failure =
  | { readonly kind: 'refuse'; readonly code: ResultCode; readonly message: string }
  /** No answer: the stream is cut, before or after the operation took effect. */
  | { readonly kind: 'cut'; readonly isApplied: boolean }
  /** No answer, ever; the operation takes effect when `release` is called, unless it is fenced by then. */
  | { readonly kind: 'hang' };

export type OperationKind = keyof Operation;

type HeldSa = {
  sa: Sa;
  ownerId: string;
  charonInstanceId: Buffer;
  counters: SaCounters;
  highest: bigint;
  addedMs: number;
  usedAtMs: bigint;
};
type HeldPolicy = { policy: Policy; ownerId: string; charonInstanceId: Buffer };

const KINDS = ['addSa', 'updateSa', 'deleteSa', 'putPolicy', 'deletePolicy', 'reserveSpi'] as const;

function kindOf(operation: Operation): OperationKind | undefined {
  return KINDS.find((kind) => operation[kind] !== undefined);
}

function hex(bytes: Buffer | undefined): string {
  return bytes?.toString('hex') ?? '';
}

function saKeyOf(ownerId: string, id: SaId | undefined): string {
  return `${ownerId} ${id?.direction} ${id?.protocol} ${id?.spi} ${hex(id?.destination?.value)}`;
}

function policyKeyOf(ownerId: string, id: PolicyId | undefined): string {
  return `${ownerId} ${JSON.stringify(id)}`;
}

function isSameSa(a: Sa, b: Sa): boolean {
  return Buffer.from(Sa.encode(a).finish()).equals(Sa.encode(b).finish());
}

/**
 * A dataplane without packets, behind the real contract on a real socket. Faults are
 * injected per operation; `restart` forgets everything under a new boot id.
 */
export class FakeDataplane implements AsyncDisposable {
  readonly path: string;
  /** Every operation that arrived, by kind, in order. */
  readonly arrived: OperationKind[] = [];
  /** As its capabilities state it, at the next connection. */
  ackLatencyUs = 100;
  /** As its capabilities state it, at the next connection. */
  mustReserveSpi = false;
  /** As its capabilities state it, at the next connection. */
  waitsForInSync = false;
  /** With which epoch it was told that a comparison is done, and how many SAs it had then. */
  readonly inSyncReports: { readonly epoch: bigint; readonly sas: number }[] = [];
  /** Called when it is told; what it throws is the answer. */
  onReport: () => void = () => undefined;
  /** What it says of itself; undefined: it knows no such call. */
  status: Omit<GetStatusResponse, 'bootId'> | undefined = { spiSlots: [], notes: [] };
  /** Sizes of the batches that arrived. */
  readonly batches: number[] = [];
  listings = 0;
  /** Entries in all listings so far. */
  listed = 0;
  /** Knows GetRevision. */
  hasRevisions = true;
  acquisitions = 0;
  /** Before each answer. */
  latencyMs = 0;
  /** Does not say what it can. */
  isMute = false;
  maxBatch = 1_000;
  /** Entries in one message of a listing. */
  chunkSize = 1_000;
  /** Listings end without their last message. */
  cutsListings = false;
  /** Called when a listing of SAs is asked for, before anything is read. */
  onListing: () => void = () => undefined;
  /** So many reads are answered with UNAVAILABLE. */
  unavailableReads = 0;
  /** What each watcher asked to resume after. */
  readonly resumedAfter: bigint[] = [];
  features: Feature[] = Object.values(Feature).filter((feature) => feature > 0);
  #server: Server | undefined;
  #sas = new Map<string, HeldSa>();
  #policies = new Map<string, HeldPolicy>();
  #epochs = new Map<string, bigint>();
  #bootId = randomBytes(16);
  readonly #revisions = new Map<string, bigint>();
  /** Of its own making: every listing and every packet is one later. */
  #nowMs = 1n;
  #eventId = 0n;
  #nextSpi = 0xc0000001;
  readonly #failures: { readonly kind: OperationKind; readonly failure: Failure }[] = [];
  /** Open event streams, each with the agent it belongs to. */
  readonly #watchers = new Map<ServerWritableStream<unknown, WatchEventsResponse>, string>();
  readonly #holders = new Map<string, string>();
  #hanging: { request: ApplyRequest; operations: Operation[] }[] = [];

  constructor(path: string) {
    this.path = path;
  }

  get target(): string {
    return `unix://${this.path}`;
  }

  get bootId(): string {
    return this.#bootId.toString('hex');
  }

  get sas(): readonly Sa[] {
    return [...this.#sas.values()].map(({ sa }) => sa);
  }

  get policies(): readonly Policy[] {
    return [...this.#policies.values()].map(({ policy }) => policy);
  }

  get isRunning(): boolean {
    return this.#server !== undefined;
  }

  /** Listens on the unix socket, or where a test says; gives the port. */
  async start(
    address: string = this.target,
    credentials: ServerCredentials = ServerCredentials.createInsecure(),
  ): Promise<number> {
    if (existsSync(this.path)) rmSync(this.path);
    const server = new Server();
    const service: IpsecServiceServer = {
      getCapabilities: (_call, done) => {
        if (!this.isMute) done(null, this.#capabilities());
      },
      acquireWriter: (call, done) => {
        this.acquisitions += 1;
        const { ownerId, agentId } = call.request;
        const holder = this.#holders.get(ownerId);
        if (holder !== undefined && holder !== agentId && [...this.#watchers.values()].includes(holder)) {
          done({ code: status.ALREADY_EXISTS, details: `agent ${holder} writes and is connected` });
          return;
        }
        this.#holders.set(ownerId, agentId);
        const epoch = (this.#epochs.get(ownerId) ?? 0n) + 1n;
        this.#epochs.set(ownerId, epoch);
        done(null, { epoch });
      },
      apply: (call, done) => {
        const answer = this.#apply(call.request);
        if (answer === undefined) done({ code: status.UNAVAILABLE, details: 'cut' });
        else if (answer === 'fenced') done({ code: status.FAILED_PRECONDITION, details: 'fenced' });
        else if (answer !== 'hang') done(null, answer);
      },
      applyStream: (call) => this.#serveStream(call),
      listSas: (call) => this.#listSas(call),
      listPolicies: (call) => this.#listPolicies(call),
      getRevision: (call, done) => {
        if (!this.hasRevisions) done({ code: status.UNIMPLEMENTED, details: 'as the test wants it' });
        else done(null, { bootId: this.#bootId, revision: this.#revision(call.request.ownerId) });
      },
      reportInSync: (call, done) => {
        try {
          this.onReport();
        } catch (error) {
          done({ code: status.UNAVAILABLE, details: String(error) });
          return;
        }
        this.inSyncReports.push({ epoch: call.request.writer?.epoch ?? 0n, sas: this.sas.length });
        done(null, {});
      },
      getStatus: (_call, done) => {
        if (this.status === undefined) done({ code: status.UNIMPLEMENTED, details: 'as the test wants it' });
        else done(null, { bootId: this.#bootId, ...this.status });
      },
      watchEvents: (call) => {
        this.#watchers.set(call, call.request.agentId);
        this.resumedAfter.push(call.request.after);
        call.on('close', () => this.#watchers.delete(call));
        call.on('cancelled', () => this.#watchers.delete(call));
        call.write(WatchEventsResponse.create({ id: this.#eventId, bootId: this.#bootId, boot: {} }));
      },
    };
    server.addService(IpsecServiceService, service);
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.bindAsync(address, credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  /** Cuts every connection; what was applied stays. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#watchers.clear();
  }

  /** Comes back empty. */
  async restart(): Promise<void> {
    this.stop();
    this.#bootId = randomBytes(16);
    this.#sas.clear();
    this.#policies.clear();
    this.#epochs.clear();
    this.#revisions.clear();
    this.#holders.clear();
    this.#eventId = 0n;
    await this.start();
  }

  /** The next operation of this kind fails. */
  failNext(kind: OperationKind, failure: Failure): void {
    this.#failures.push({ kind, failure });
  }

  refuseNext(kind: OperationKind, code: ResultCode = ResultCode.RESULT_CODE_CAPACITY): void {
    this.failNext(kind, { kind: 'refuse', code, message: 'as the test wants it' });
  }

  /** Failures that were planned and did not happen yet never will. */
  forgetFailures(): void {
    this.#failures.length = 0;
  }

  /** Lets batches that hang take effect, if their writer still is one. */
  release(): void {
    for (const { request, operations } of this.#hanging.splice(0)) {
      if (!this.#isFenced(request)) for (const operation of operations) this.#one(request, operation);
    }
  }

  /** An SA ends or changes by somebody else's doing; not `isTold`: the revision does not show it. */
  loseSa(spi: number, isTold = true): void {
    for (const [key, { sa, ownerId }] of this.#sas) {
      if (sa.id?.spi !== spi) continue;
      this.#sas.delete(key);
      if (isTold) this.#advance(ownerId);
    }
  }

  changeSa(spi: number, change: Partial<Sa>): void {
    for (const held of this.#sas.values()) {
      if (held.sa.id?.spi !== spi) continue;
      held.sa = { ...held.sa, ...change };
      this.#advance(held.ownerId);
    }
  }

  moveSa(spi: number, destination: string): void {
    for (const [key, held] of [...this.#sas]) {
      if (held.sa.id?.spi !== spi) continue;
      const id = { ...held.sa.id, destination: { value: Buffer.from(destination.split('.').map(Number)) } };
      this.#sas.delete(key);
      held.sa = { ...held.sa, id };
      this.#sas.set(saKeyOf(held.ownerId, id), held);
      this.#advance(held.ownerId);
    }
  }

  /** An inbound SA has received packets up to this sequence number. */
  receive(spi: number, highestSequence: bigint): void {
    this.#nowMs += 1n;
    for (const held of this.#sas.values()) {
      if (held.sa.id?.spi === spi) Object.assign(held, { highest: highestSequence, usedAtMs: this.#nowMs });
    }
  }

  /** So long ago every SA was installed. */
  setAges(ageMs: number): void {
    for (const held of this.#sas.values()) held.addedMs = performance.now() - ageMs;
  }

  /** Another agent becomes this owner's writer. */
  fence(ownerId: string): void {
    this.#epochs.set(ownerId, (this.#epochs.get(ownerId) ?? 0n) + 1n);
  }

  emit(event: Partial<WatchEventsResponse>): void {
    this.#eventId += 1n;
    const message = { ...WatchEventsResponse.create(), ...event, id: this.#eventId, bootId: this.#bootId };
    for (const watcher of this.#watchers.keys()) watcher.write(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    rmSync(this.path, { force: true });
  }

  #capabilities(): GetCapabilitiesResponse {
    return GetCapabilitiesResponse.create({
      bootId: this.#bootId,
      server: 'fake',
      encryption: [Algorithm.create({ id: 20, name: 'ENCR_AES_GCM_16', keyBits: [128, 256], saltBytes: 4 })],
      protocols: [Protocol.PROTOCOL_ESP],
      modes: [Mode.MODE_TUNNEL],
      features: this.features,
      ackLatencyUs: this.ackLatencyUs,
      maxBatch: this.maxBatch,
      spi: { min: 256, max: 0xffffffff, mustReserve: this.mustReserveSpi },
      routeInterface: 'fake0',
      waitsForInSync: this.waitsForInSync,
    });
  }

  #serveStream(call: ServerDuplexStream<ApplyStreamRequest, ApplyStreamResponse>): void {
    call.on('data', ({ apply }: ApplyStreamRequest) => {
      if (apply === undefined) return;
      const answer = this.#apply(apply);
      if (answer === 'hang') return;
      if (answer === undefined) {
        call.emit('error', { code: status.UNAVAILABLE, details: 'cut' });
        return;
      }
      const response: ApplyStreamResponse =
        answer === 'fenced'
          ? { apply: undefined, error: { status: status.FAILED_PRECONDITION, message: 'fenced' } }
          : { apply: answer, error: undefined };
      if (this.latencyMs === 0) call.write(response);
      else setTimeout(() => call.write(response), this.latencyMs);
    });
    call.on('end', () => call.end());
    call.on('error', () => undefined);
  }

  #isFenced({ writer }: ApplyRequest): boolean {
    return writer === undefined || writer.epoch !== this.#epochs.get(writer.ownerId);
  }

  #apply(request: ApplyRequest): ApplyResponse | 'fenced' | 'hang' | undefined {
    if (this.#isFenced(request)) return 'fenced';
    this.batches.push(request.operations.length);
    const results: OperationResult[] = [];
    let isCut = false;
    for (const [index, operation] of request.operations.entries()) {
      const kind = kindOf(operation);
      if (kind === undefined) continue;
      this.arrived.push(kind);
      const failure = this.#takeFailure(kind);
      if (failure?.kind === 'hang') {
        this.#hanging.push({ request, operations: request.operations.slice(index) });
        return 'hang';
      }
      if (failure?.kind === 'cut') isCut = true;
      if (failure?.kind === 'refuse') {
        results.push(OperationResult.create({ code: failure.code, message: failure.message }));
      } else if (failure?.kind !== 'cut' || failure.isApplied) {
        results.push(this.#one(request, operation));
      }
    }
    return isCut ? undefined : { results, revision: this.#revision(request.writer?.ownerId ?? '') };
  }

  #takeFailure(kind: OperationKind): Failure | undefined {
    const index = this.#failures.findIndex((planned) => planned.kind === kind);
    return index === -1 ? undefined : this.#failures.splice(index, 1)[0]?.failure;
  }

  #revision(ownerId: string): bigint {
    return this.#revisions.get(ownerId) ?? 0n;
  }

  #advance(ownerId: string): void {
    this.#revisions.set(ownerId, this.#revision(ownerId) + 1n);
  }

  #one(request: ApplyRequest, operation: Operation): OperationResult {
    const result = this.#perform(request, operation);
    const isChange = result.code === ResultCode.RESULT_CODE_OK && !result.unchanged;
    if (isChange && operation.reserveSpi === undefined) this.#advance(request.writer?.ownerId ?? '');
    return result;
  }

  #perform({ writer }: ApplyRequest, operation: Operation): OperationResult {
    const ownerId = writer?.ownerId ?? '';
    const charonInstanceId = writer?.charonInstanceId ?? Buffer.alloc(0);
    const ok = (unchanged = false): OperationResult =>
      OperationResult.create({ code: ResultCode.RESULT_CODE_OK, unchanged });
    if (operation.addSa?.sa !== undefined) {
      const { sa } = operation.addSa;
      const key = saKeyOf(ownerId, sa.id);
      const present = this.#sas.get(key);
      if (present !== undefined && !isSameSa(present.sa, sa)) {
        return OperationResult.create({ code: ResultCode.RESULT_CODE_SPI_COLLISION, message: 'taken' });
      }
      const highest = sa.replayState?.highestSequence ?? 0n;
      const counters = SaCounters.create();
      this.#sas.set(
        key,
        present ?? {
          sa,
          ownerId,
          charonInstanceId,
          counters,
          highest,
          addedMs: performance.now(),
          usedAtMs: 0n,
        },
      );
      return ok(present !== undefined);
    }
    if (operation.updateSa !== undefined) {
      const { id, newSource, newDestination, newUdpEncapsulation, newReqid } = operation.updateSa;
      const held = this.#sas.get(saKeyOf(ownerId, id));
      if (held?.sa.id === undefined) {
        return OperationResult.create({ code: ResultCode.RESULT_CODE_NOT_FOUND, message: 'no such SA' });
      }
      this.#sas.delete(saKeyOf(ownerId, id));
      const newId = { ...held.sa.id, destination: newDestination };
      held.sa = {
        ...held.sa,
        id: newId,
        source: newSource,
        udpEncapsulation: newUdpEncapsulation,
        reqid: newReqid === 0 ? held.sa.reqid : newReqid,
      };
      this.#sas.set(saKeyOf(ownerId, newId), held);
      return ok();
    }
    if (operation.deleteSa !== undefined) {
      return ok(!this.#sas.delete(saKeyOf(ownerId, operation.deleteSa.id)));
    }
    if (operation.putPolicy?.policy !== undefined) {
      const { policy } = operation.putPolicy;
      this.#policies.set(policyKeyOf(ownerId, policy.id), { policy, ownerId, charonInstanceId });
      return ok();
    }
    if (operation.deletePolicy !== undefined) {
      return ok(!this.#policies.delete(policyKeyOf(ownerId, operation.deletePolicy.id)));
    }
    this.#nextSpi += 1;
    return OperationResult.create({ code: ResultCode.RESULT_CODE_OK, spi: this.#nextSpi });
  }

  #listSas(call: ServerWritableStream<ListSasRequest, ListSasResponse>): void {
    this.listings += 1;
    this.onListing();
    const { ownerId, fingerprintNonce, usedSinceMs } = call.request;
    const sas = [...this.#sas.values()]
      .filter((held) => ownerId === '' || held.ownerId === ownerId)
      .filter(({ usedAtMs }) => usedAtMs >= usedSinceMs)
      .map((held) =>
        SaState.create({
          sa: { ...held.sa, encryptionKey: Buffer.alloc(0), integrityKey: Buffer.alloc(0) },
          ownerId: held.ownerId,
          charonInstanceId: held.charonInstanceId,
          keyFingerprint:
            fingerprintNonce.length === 0 ? Buffer.alloc(0) : fingerprint(fingerprintNonce, held.sa),
          counters: held.counters,
          ageMs: BigInt(Math.ceil(performance.now() - held.addedMs)),
          nextSequence: held.sa.initialSequence + 1n,
          replayState: { highestSequence: held.highest, bitmap: Buffer.from([0xff]) },
        }),
      );
    for (const chunk of this.#chunks(ownerId, sas)) call.write({ ...chunk, sas: chunk.entries });
    call.end();
  }

  #listPolicies(call: ServerWritableStream<ListPoliciesRequest, ListPoliciesResponse>): void {
    if (this.unavailableReads > 0) {
      this.unavailableReads -= 1;
      call.emit('error', { code: status.UNAVAILABLE, details: 'as the test wants it' });
      return;
    }
    const { ownerId } = call.request;
    const policies = [...this.#policies.values()]
      .filter((held) => ownerId === '' || held.ownerId === ownerId)
      .map((held) => PolicyState.create(held));
    for (const chunk of this.#chunks(ownerId, policies)) call.write({ ...chunk, policies: chunk.entries });
    call.end();
  }

  *#chunks<T>(
    ownerId: string,
    entries: readonly T[],
  ): Generator<
    { entries: T[]; revision: bigint; bootId: Buffer; complete: boolean; listedAtMs: bigint },
    void,
    undefined
  > {
    this.listed += entries.length;
    this.#nowMs += 1n;
    const head = {
      revision: this.#revision(ownerId),
      bootId: this.#bootId,
      listedAtMs: this.#nowMs,
    };
    const count = Math.max(1, Math.ceil(entries.length / this.chunkSize));
    for (let index = 0; index < count; index++) {
      const isLast = index === count - 1;
      if (isLast && this.cutsListings) return;
      yield {
        entries: entries.slice(index * this.chunkSize, (index + 1) * this.chunkSize),
        ...head,
        complete: isLast,
      };
    }
  }
}

function fingerprint(nonce: Buffer, { encryptionKey, integrityKey }: Sa): Buffer {
  const hmac = createHmac('sha256', nonce);
  for (const key of [encryptionKey, integrityKey]) {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(key.length);
    hmac.update(length).update(key);
  }
  return hmac.digest();
}
