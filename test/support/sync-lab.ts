import { randomBytes } from 'node:crypto';
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
import { TempDir } from './temp-dir.ts';

export const OWNER = 'test';
export const INSTANCE = '00'.repeat(16);
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

  static async start(target: string, options: Partial<SyncEngineOptions> = {}): Promise<TestAgent> {
    return new TestAgent(await LagopusDataplane.open({ target, ownerId: OWNER }), options);
  }

  /** Gives a snapshot and waits until requests can be answered. */
  async ready(snapshot: DesiredSnapshot = EMPTY, instance = INSTANCE): Promise<void> {
    this.engine.replaceDesired(snapshot, instance);
    await this.untilReady();
  }

  async untilReady(): Promise<void> {
    await eventually('the engine is ready', () => this.engine.readiness.kind === 'ready', { intervalMs: 1 });
  }

  async add(...sas: readonly SecurityAssociation[]): Promise<void> {
    for (const sa of sas) {
      const answer = await this.engine.handle({ kind: 'add-sa', sa });
      if (answer.kind !== 'ok') throw new Error(JSON.stringify(answer));
    }
  }

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
  async agent(options?: Partial<SyncEngineOptions>): Promise<TestAgent> {
    return this.#stack.use(await TestAgent.start(this.dataplane.target, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
