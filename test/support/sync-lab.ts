import { randomBytes, randomUUID } from 'node:crypto';
import { LagopusDataplane, superviseDataplane } from '../../src/lagopus/index.ts';
import type { SecurityAssociation } from '../../src/sad/index.ts';
import {
  type DesiredSnapshot,
  type Readiness,
  SyncEngine,
  type SyncEngineOptions,
} from '../../src/sync/index.ts';
import { silentLogger } from '../../src/util/index.ts';
import { eventually } from './eventually.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeDataplane } from './fake-dataplane.ts';
import { FakeTunnels } from './fake-tunnels.ts';
import { sampleSa } from './sample-sas.ts';
import { TempDir } from './temp-dir.ts';

export const OWNER = 'test';
export const INSTANCE = '00'.repeat(16);
/** Pauses have their full length. */
export const WITHOUT_JITTER = { random: (lengthBytes: number) => new Uint8Array(lengthBytes) } as const;
export const EMPTY: DesiredSnapshot = { sas: [], policyUsers: [] };

/** An engine with its client and supervision, as one agent has them. */
export class TestAgent implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly tunnels = new FakeTunnels();
  readonly readiness: Readiness[] = [];
  readonly engine: SyncEngine;
  readonly #client: LagopusDataplane;
  readonly #stop = new AbortController();
  readonly #supervision: Promise<void>;

  private constructor(client: LagopusDataplane, options: Partial<SyncEngineOptions>) {
    this.#client = client;
    this.engine = new SyncEngine({
      dataplane: client,
      tunnels: this.tunnels,
      clock: this.clock,
      random: (lengthBytes) => randomBytes(lengthBytes),
      logger: silentLogger,
      onReadiness: (readiness) => this.readiness.push(readiness),
      applyDeadlineMs: 150,
      auditIntervalMs: 0,
      usageIntervalMs: 0,
      ...options,
    });
    this.#supervision = superviseDataplane({
      dataplane: client,
      logger: silentLogger,
      signal: this.#stop.signal,
      onUp: (capabilities) => this.engine.dataplaneUp(capabilities),
      onDown: (reason) => this.engine.dataplaneDown(reason),
      onEvent: (event) => this.engine.dataplaneEvent(event),
    });
  }

  static async start(
    target: string,
    options: Partial<SyncEngineOptions> = {},
    ownerId: string = OWNER,
  ): Promise<TestAgent> {
    return new TestAgent(await LagopusDataplane.open({ target, ownerId, agentId: randomUUID() }), options);
  }

  /** Gives a snapshot and waits until requests can be answered. */
  async ready(
    snapshot: DesiredSnapshot = EMPTY,
    instance = INSTANCE,
    charonStartedMs?: number,
  ): Promise<void> {
    this.engine.replaceDesired(snapshot, instance, charonStartedMs);
    await this.untilReady();
  }

  async untilReady(): Promise<void> {
    await eventually('the engine is ready', () => this.engine.readiness.kind === 'ready', { intervalMs: 1 });
  }

  async untilNotReady(): Promise<void> {
    await this.until('the engine is not ready', () => this.engine.readiness.kind === 'not-ready');
  }

  /** Waits for I/O, after letting `delayMs` of the engine's time pass. */
  async until(what: string, isTrue: () => boolean, delayMs = 0): Promise<void> {
    if (delayMs > 0) await this.clock.advance(delayMs);
    await eventually(what, isTrue, { timeoutMs: 3_000, intervalMs: 1 });
  }

  /** Waits until everything that was asked for so far has been answered: one more request has. */
  async idle(): Promise<void> {
    const { id } = sampleSa({ direction: 'inbound', spi: 0xffff_ffff });
    const move = {
      source: id.destination,
      destination: id.destination,
      udpEncapsulation: undefined,
      reqid: undefined,
    };
    await this.engine.handle({ kind: 'update-sa', id, move });
  }

  async differences(): Promise<readonly { readonly kind: string; readonly key: string }[]> {
    const { sas, policies } = await this.engine.diff();
    return [sas, policies].flatMap(({ missing, unexpected, different }) => [
      ...missing.map((key) => ({ kind: 'missing', key })),
      ...unexpected.map((key) => ({ kind: 'unexpected', key })),
      ...different.map(({ key }) => ({ kind: 'different', key })),
    ]);
  }

  async add(...sas: readonly SecurityAssociation[]): Promise<void> {
    for (const sa of sas) {
      const answer = await this.engine.handle({ kind: 'add-sa', sa });
      if (answer.kind !== 'ok') throw new Error(JSON.stringify(answer));
    }
  }

  /** May be called twice: an agent that stops within a test is also disposed of with its lab. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#supervision;
    await this.engine[Symbol.asyncDispose]();
    await this.#client[Symbol.asyncDispose]();
  }
}

/** A fake dataplane on a socket, and agents that come and go. */
export class SyncLab implements AsyncDisposable {
  readonly dataplane: FakeDataplane;
  readonly #stack = new AsyncDisposableStack();

  private constructor() {
    const dir = this.#stack.use(new TempDir());
    this.dataplane = this.#stack.use(new FakeDataplane(dir.file('dataplane.sock')));
  }

  static async start(): Promise<SyncLab> {
    const lab = new SyncLab();
    await lab.dataplane.start();
    return lab;
  }

  /** Disposed of with the lab, unless earlier. */
  async agent(options?: Partial<SyncEngineOptions>, ownerId?: string): Promise<TestAgent> {
    return this.#stack.use(await TestAgent.start(this.dataplane.target, options, ownerId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
