import type { Operation } from '../../../src/sad/index.ts';
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
} from '../../../src/sync/index.ts';
import { AgentError, type AgentErrorCode, errorMessage, InvariantError } from '../../../src/util/index.ts';
import type { Fault, FaultPlan } from './faults.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimDataplane } from './sim-dataplane.ts';
import { toWire, type WireOperation } from './wire.ts';

/** What the agent sends and asks, for those who watch it. */
export type ClientWatcher = {
  readonly sends: (batch: readonly WireOperation[]) => void;
  readonly startsComparison: () => void;
};

export type SimClientOptions = {
  readonly dataplane: SimDataplane;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  /** The usual time each way is below that. */
  readonly latencyMs: number;
  readonly faults: FaultPlan;
  readonly watcher: ClientWatcher;
};

/** Calls under way end when the connection does. */
type Connection = { readonly bootId: string; readonly calls: Set<(reason: string) => void> };

type ApplyFault = Extract<Fault, { readonly call: 'apply' }>;

const CALL_DEADLINE_MS = 2_000;
const LIST_DEADLINE_MS = 3_000;

function failure(code: AgentErrorCode, reason: string): AgentError {
  return new AgentError(reason, { code, retryable: true });
}

/** One agent's way to the dataplane: latency, loss and everything else a network and a process can do. */
export class SimClient implements DataplanePort {
  readonly #options: SimClientOptions;
  #connection: Connection | undefined;
  #epoch = -1;
  #applying = 0;

  constructor(options: SimClientOptions) {
    this.#options = options;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Of the dataplane it connected to, which may have died meanwhile. */
  get bootId(): string | undefined {
    return this.#connection?.bootId;
  }

  /** A batch is in flight. */
  get isApplying(): boolean {
    return this.#applying > 0;
  }

  connect(): DataplaneCapabilities {
    const { dataplane } = this.#options;
    this.#connection = { bootId: dataplane.bootId, calls: new Set() };
    return {
      bootId: dataplane.bootId,
      server: 'simulated',
      maxBatch: 4,
      ackLatencyUs: 100,
      routeInterface: undefined,
      takesReplayState: dataplane.takesReplayState,
      hasScarceSpis: false,
      waitsForInSync: false,
    };
  }

  /** The connection is lost; what is on its way may arrive all the same, unless the dataplane died. */
  disconnect(reason: string): void {
    const connection = this.#connection;
    this.#connection = undefined;
    for (const end of connection?.calls ?? []) end(reason);
  }

  async capabilities(): Promise<DataplaneCapabilities> {
    return this.connect();
  }

  watchEvents(): AsyncIterable<DataplaneEvent> {
    throw new InvariantError('the engine does not watch: the world tells it');
  }

  apply(batch: readonly Operation[], options: ApplyOptions): Promise<ApplyOutcome> {
    const { faults, watcher } = this.#options;
    const operations = batch.map(toWire);
    watcher.sends(operations);
    const fault = faults.take(
      'apply',
      batch.map(({ kind }) => kind),
    );
    const epoch = this.#epoch;
    this.#applying += 1;
    return this.#call<ApplyOutcome>(
      { deadlineMs: options.deadlineMs, signal: options.signal, ...delaysOf(fault) },
      () => this.#serve(operations, epoch, options.charonInstanceId, fault),
    )
      .catch((error: unknown): ApplyOutcome => ({ kind: 'unknown', reason: errorMessage(error) }))
      .finally(() => {
        this.#applying -= 1;
      });
  }

  reportInSync(): Promise<void> {
    throw new InvariantError('this dataplane waits for no report');
  }

  async acquireWriter({ signal }: CallOptions = {}): Promise<void> {
    const fault = this.#options.faults.take('acquire');
    const delays = delaysOf(fault);
    this.#epoch = await this.#call({ deadlineMs: CALL_DEADLINE_MS, signal, ...delays }, () => {
      if (fault?.kind === 'failed') throw failure('unavailable', 'no writers now');
      return this.#options.dataplane.acquire();
    });
  }

  async listSas(nonce: Uint8Array, options?: CallOptions): Promise<SaListing> {
    this.#options.watcher.startsComparison();
    const listing = await this.#list(options, () => this.#options.dataplane.listSas(nonce));
    return { bootId: listing.bootId, sas: listing.entries };
  }

  async listPolicies(options?: UsageOptions): Promise<PolicyListing> {
    const { bootId, entries, listedAtMs } = await this.#list(options, () =>
      this.#options.dataplane.listPolicies(),
    );
    return { bootId, listedAtMs, policies: entries };
  }

  async listCounters(options?: UsageOptions): Promise<UsageListing> {
    const { bootId, entries, listedAtMs } = await this.#list(options, () =>
      this.#options.dataplane.listSas(new Uint8Array(0), options?.usedSinceMs),
    );
    return { bootId, listedAtMs, usages: entries.map(({ usage }) => usage) };
  }

  /** Never fails by itself: faults of listings are kept for listings. */
  revision({ signal }: CallOptions = {}): Promise<RevisionReading> {
    const { dataplane } = this.#options;
    return this.#call({ deadlineMs: CALL_DEADLINE_MS, signal, requestMs: 0, answerMs: 0 }, () => ({
      bootId: dataplane.bootId,
      revision: dataplane.revision,
    }));
  }

  #serve(
    operations: readonly WireOperation[],
    epoch: number,
    charonInstanceId: string,
    fault: ApplyFault | undefined,
  ): ApplyOutcome {
    const { dataplane } = this.#options;
    if (!dataplane.isWriter(epoch)) return { kind: 'fenced', reason: `epoch ${epoch} is fenced` };
    let refusal = fault?.kind === 'refused' ? fault : undefined;
    const results = operations.map((operation) => {
      if (refusal?.on !== operation.kind) return dataplane.operate(operation, charonInstanceId);
      const { code } = refusal;
      refusal = undefined;
      return { kind: 'refused', code, reason: 'as the world wants it' } as const;
    });
    return { kind: 'done', results, revision: dataplane.revision };
  }

  async #list<Entry>(
    { signal }: CallOptions = {},
    read: () => readonly Entry[],
  ): Promise<{ readonly bootId: string; readonly entries: readonly Entry[]; readonly listedAtMs: bigint }> {
    const { dataplane, faults } = this.#options;
    const fault = faults.take('list');
    return this.#call({ deadlineMs: LIST_DEADLINE_MS, signal, ...delaysOf(fault) }, () => {
      if (fault?.kind === 'failed') throw failure('unavailable', 'the listing failed');
      return { bootId: dataplane.bootId, entries: read(), listedAtMs: dataplane.nowMs };
    });
  }

  /** A request arrives, is served, and its answer comes back, each unless it gets lost. */
  #call<Answer>(
    options: CallOptions & Delays & { readonly deadlineMs: number },
    serve: () => Answer,
  ): Promise<Answer> {
    const { clock, random, latencyMs, dataplane } = this.#options;
    const { deadlineMs, signal } = options;
    const connection = this.#connection;
    return new Promise((resolve, reject) => {
      if (signal?.aborted || connection === undefined) {
        reject(signal?.aborted ? signal.reason : failure('unavailable', 'not connected'));
        return;
      }
      const end = (settle: () => void): void => {
        cancel();
        connection.calls.delete(onDisconnect);
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = (): void => end(() => reject(signal?.reason));
      const onDisconnect = (reason: string): void => end(() => reject(failure('unavailable', reason)));
      const cancel = clock.at(deadlineMs, () => end(() => reject(failure('deadline', 'no answer'))));
      connection.calls.add(onDisconnect);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (options.requestMs === undefined) return;
      clock.at(options.requestMs + random.int(latencyMs), () => {
        // A process that died serves nobody; one whose connection broke may still have the request.
        if (dataplane.bootId !== connection.bootId) return;
        const answer = outcomeOf(serve);
        if (options.answerMs === undefined) return;
        clock.at(options.answerMs + random.int(latencyMs), () => end(() => answer(resolve, reject)));
      });
    });
  }
}

/** How much later than usual; undefined is never. */
type Delays = { readonly requestMs: number | undefined; readonly answerMs: number | undefined };

function delaysOf(
  fault: Exclude<Fault, { readonly call: 'connect' | 'event' | 'vici' }> | undefined,
): Delays {
  if (fault?.kind !== 'lost' && fault?.kind !== 'late') return { requestMs: 0, answerMs: 0 };
  const delayMs = fault.kind === 'lost' ? undefined : fault.delayMs;
  return fault.what === 'request' ? { requestMs: delayMs, answerMs: 0 } : { requestMs: 0, answerMs: delayMs };
}

type Deliver<Answer> = (resolve: (answer: Answer) => void, reject: (error: unknown) => void) => void;

function outcomeOf<Answer>(serve: () => Answer): Deliver<Answer> {
  try {
    const answer = serve();
    return (resolve) => resolve(answer);
  } catch (error) {
    return (_resolve, reject) => reject(error);
  }
}
