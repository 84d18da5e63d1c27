import type { SaId, SecurityAssociation } from '../../../src/sad/index.ts';
import {
  type DataplaneEvent,
  type DesiredSnapshot,
  type SyncAnswer,
  type SyncChange,
  SyncEngine,
  type SyncRequest,
  type TunnelControl,
} from '../../../src/sync/index.ts';
import { type SecretBytes, silentLogger } from '../../../src/util/index.ts';
import { describeChange, describeOperation, describeRequest } from './describe.ts';
import type { FaultPlan } from './faults.ts';
import { type Monitor, ToldReplayState } from './monitor.ts';
import { keyOf, parametersOf, policyName, saName, withoutKeys } from './names.ts';
import { PlanOrderWatch } from './plan-order.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimClient } from './sim-client.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimDataplane } from './sim-dataplane.ts';
import type { FeedPeer, TableSa } from './sim-plugin.ts';
import { entriesOf, type WireOperation } from './wire.ts';

export type SimAgentOptions = {
  readonly dataplane: SimDataplane;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  /** Of the dataplane, each way. */
  readonly latencyMs: number;
  readonly faults: FaultPlan;
  readonly monitor: Monitor;
  readonly tunnels: TunnelControl;
  /** When something last went wrong or changed by itself. */
  readonly disturbedMs: () => number;
  readonly onReadiness: (agent: SimAgent, isReady: boolean) => void;
  readonly log: (line: string) => void;
};

/** The longest a request may take whatever fails: two calls that run into their deadlines, and then some. */
const ANSWER_BOUND_MS = 10_000;
/** When nothing has failed for a while: a few round trips. */
const CALM_BOUND_MS = 500;
const CALM_AFTER_MS = 5_000;

type OpenRequest = {
  readonly what: string;
  readonly sinceMs: number;
  /** What it is about, until it is sent. */
  entry: string | undefined;
};

/** One agent process: the engine, its client, and the key feed's end; what it is told, and how it keeps to it. */
export class SimAgent implements FeedPeer {
  readonly engine: SyncEngine;
  readonly client: SimClient;
  hasSnapshot = false;
  isStopped = false;
  batches = 0;
  readonly #options: SimAgentOptions;
  readonly #order: PlanOrderWatch;
  readonly #replay: ToldReplayState;
  /** By their number: what waits since when. */
  readonly #open = new Map<number, OpenRequest>();
  readonly #keys = new Set<SecretBytes>();
  /** The SAs that exist for charon as far as this agent was told, with their keys. */
  readonly #existing = new Map<string, { readonly key: string; readonly parameters: string }>();
  #requests = 0;
  /** The boot that was compared with charon's snapshot. */
  #comparedBootId: string | undefined;

  constructor(options: SimAgentOptions) {
    this.#options = options;
    const { dataplane, clock, random, latencyMs, faults, monitor, tunnels } = options;
    this.#order = new PlanOrderWatch((what) => monitor.violate('a plan makes before it breaks', what));
    this.#replay = new ToldReplayState(monitor);
    this.client = new SimClient({
      ...{ dataplane, clock, random, latencyMs, faults },
      watcher: {
        sends: (batch) => this.#onSend(batch),
        startsComparison: () => this.#order.startsComparison(),
      },
    });
    this.engine = new SyncEngine({
      dataplane: this.client,
      ...{ tunnels, clock },
      random: (lengthBytes) => random.bytes(lengthBytes),
      logger: silentLogger,
      applyDeadlineMs: 800,
      auditIntervalMs: 10_000,
      usageIntervalMs: 2_000,
      backgroundBatch: 3,
      brake: { maxShare: 0.5, allowance: 2 },
      onUsage: ({ usages }) => this.#replay.told(usages, (name) => this.#existing.get(name)?.key),
      onReadiness: ({ kind }) => {
        if (kind === 'ready') this.#comparedBootId = this.engine.status().bootId;
        options.onReadiness(this, kind === 'ready');
      },
    });
  }

  get isQuiet(): boolean {
    return this.#open.size === 0;
  }

  snapshot(snapshot: DesiredSnapshot, charonInstanceId: string, charonStartedMs: number): void {
    this.#options.log(`snapshot of ${charonInstanceId}: ${snapshot.sas.length} SAs`);
    this.hasSnapshot = true;
    this.#existing.clear();
    for (const sa of snapshot.sas) {
      this.#existing.set(saName(sa.id), { key: this.#own(sa), parameters: parametersOf(withoutKeys(sa)) });
    }
    this.engine.replaceDesired(snapshot, charonInstanceId, charonStartedMs);
  }

  parametersOfKey(key: string): string | undefined {
    return [...this.#existing.values()].find((sa) => sa.key === key)?.parameters;
  }

  agreed({ id, key, make }: TableSa): void {
    this.#existing.set(saName(id), { key, parameters: parametersOf(withoutKeys(make())) });
  }

  moved(from: SaId, sa: TableSa): void {
    this.#existing.delete(saName(from));
    this.agreed(sa);
  }

  async handle(request: SyncRequest): Promise<SyncAnswer> {
    const { clock, log } = this.#options;
    const what = describeRequest(request);
    this.#requests += 1;
    const number = this.#requests;
    this.#open.set(number, { what, sinceMs: clock.now(), entry: entryOf(request) });
    const check = this.#checkOf(request);
    log(`request ${number}: ${what}`);
    const answer = await this.engine.handle(request);
    this.#checkTime(number);
    this.#open.delete(number);
    log(`answer ${number}: ${answer.kind}${answer.kind === 'ok' ? '' : ` (${answer.reason})`}`);
    if (answer.kind === 'ok' && !this.isStopped) check();
    return answer;
  }

  change(change: SyncChange): void {
    this.#options.log(`change: ${describeChange(change)}`);
    if (change.kind === 'delete-sa') {
      this.#order.asked(saName(change.id));
      this.#existing.delete(saName(change.id));
    }
    if (change.kind === 'update-sa') this.#order.asked(saName(change.id));
    if (change.kind === 'delete-policy' || change.kind === 'add-policy')
      this.#order.asked(policyName(change.user.id));
    this.engine.change(change);
  }

  event(event: DataplaneEvent): void {
    this.#options.log(`event: ${event.kind}`);
    this.engine.dataplaneEvent(event);
  }

  /** Always: what is desired can be used, and nobody waits for ever. */
  check(): void {
    const { monitor } = this.#options;
    for (const sa of this.engine.desired().sas) {
      if (keyOf(sa) === undefined) monitor.violate('no key is wiped while its SA is desired', saName(sa.id));
    }
    for (const number of this.#open.keys()) this.#checkTime(number);
  }

  /** Between two happenings. */
  checkIdle(): void {
    if (this.isQuiet || this.client.isApplying) return;
    const { link, waitingRequests } = this.engine.status();
    if (link === 'up' && waitingRequests > 0) {
      const what = `${waitingRequests} wait`;
      this.#options.monitor.violate('every request is sent when nothing else is under way', what);
    }
  }

  /** When nothing is under way: keys of SAs that left are gone. */
  checkWiped(): void {
    const desired = new Set(this.engine.desired().sas.flatMap(({ encryption }) => encryption?.key ?? []));
    for (const key of this.#keys) {
      if (!key.isWiped && !desired.has(key)) {
        this.#options.monitor.violate(
          'no key outlives its SA',
          key.reveal((bytes) => Buffer.from(bytes).toString('hex')),
        );
      }
    }
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.engine[Symbol.asyncDispose]();
    this.client.disconnect('the agent stopped');
    this.check();
    this.checkWiped();
    if (this.#open.size > 0)
      this.#options.monitor.violate(
        'every request is answered',
        [...this.#open.values()].map(({ what }) => what).join(),
      );
  }

  #checkTime(number: number): void {
    const { clock, monitor, disturbedMs } = this.#options;
    const open = this.#open.get(number);
    if (open === undefined || this.isStopped) return;
    const nowMs = clock.now();
    const calmMs = nowMs - Math.max(open.sinceMs, disturbedMs() + CALM_AFTER_MS);
    if (nowMs - open.sinceMs > ANSWER_BOUND_MS || calmMs > CALM_BOUND_MS) {
      monitor.violate('every request is answered in time', `${open.what}, asked at ${open.sinceMs}`);
    }
  }

  #onSend(batch: readonly WireOperation[]): void {
    const { monitor, dataplane, log } = this.#options;
    this.batches += 1;
    log(`send: ${batch.map(describeOperation).join(', ')}`);
    monitor.sends(batch, this, dataplane);
    this.#replay.sends(batch);
    const isRepair = this.#order.sends(batch, this.#comparedBootId === this.client.bootId, (name) =>
      this.engine.desired().sas.some(({ id }) => saName(id) === name),
    );
    this.#checkTurns(batch, isRepair);
  }

  /** No repair is sent while a request waits to be. */
  #checkTurns(batch: readonly WireOperation[], isRepair: boolean): void {
    const { clock, monitor } = this.#options;
    if (!isRepair) {
      const sent = batch.flatMap(entriesOf);
      for (const open of this.#open.values()) {
        if (open.entry !== undefined && sent.includes(open.entry)) open.entry = undefined;
      }
      return;
    }
    const waiting = [...this.#open].filter(([, { entry }]) => entry !== undefined);
    // Those that take no operation are being answered.
    clock.at(0, () => {
      for (const [number, { what }] of waiting) {
        if (this.#open.get(number)?.entry !== undefined) monitor.violate('requests go before repairs', what);
      }
    });
  }

  /** What has to be true if the answer is yes. */
  #checkOf(request: SyncRequest): () => void {
    const { monitor, dataplane } = this.#options;
    switch (request.kind) {
      case 'add-sa': {
        const name = saName(request.sa.id);
        this.#order.asked(name);
        const key = this.#own(request.sa);
        return () => monitor.answeredAdd(key, name);
      }
      case 'update-sa': {
        const { id, move } = request;
        this.#order.asked(saName(id));
        const place = `${saName({ ...id, destination: move.destination })} from ${move.source}`;
        return () => monitor.answeredMove(place);
      }
      case 'add-policy':
        this.#order.asked(policyName(request.user.id));
        return () => monitor.answeredPolicy(request.user, dataplane);
      case 'reserve-spi':
        return () => undefined;
    }
  }

  #own(sa: SecurityAssociation): string {
    if (sa.encryption !== undefined) this.#keys.add(sa.encryption.key);
    return keyOf(sa) ?? 'none';
  }
}

/** What a request is about that takes an operation. */
function entryOf(request: SyncRequest): string | undefined {
  switch (request.kind) {
    case 'add-sa':
      return saName(request.sa.id);
    case 'update-sa':
      return saName(request.id);
    case 'add-policy':
      return policyName(request.user.id);
    case 'reserve-spi':
      return undefined;
  }
}
