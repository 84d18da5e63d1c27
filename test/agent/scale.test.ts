import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentConfigSchema, askAgent, runAgent, type StatusReport } from '../../src/agent/index.ts';
import { silentLogger } from '../../src/util/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakeDataplane } from '../support/fake-dataplane.ts';
import { FakeGateway } from '../support/fake-gateway.ts';
import { fillDataplane } from '../support/fill-dataplane.ts';
import { TempDir } from '../support/temp-dir.ts';

const PATIENCE_MS = 240_000;

/** The real agent between a charon and a dataplane of fakes, all on real sockets. */
class ScaleLab implements AsyncDisposable {
  readonly gateway: FakeGateway;
  readonly dataplane: FakeDataplane;
  readonly #stack: AsyncDisposableStack;
  readonly #dir: TempDir;

  private constructor(
    stack: AsyncDisposableStack,
    dir: TempDir,
    gateway: FakeGateway,
    dataplane: FakeDataplane,
  ) {
    this.#stack = stack;
    this.#dir = dir;
    this.gateway = gateway;
    this.dataplane = dataplane;
  }

  static async create(sas: number): Promise<ScaleLab> {
    const stack = new AsyncDisposableStack();
    const dir = stack.use(new TempDir());
    const dataplane = stack.use(new FakeDataplane(dir.file('dataplane.sock')));
    await dataplane.start();
    const gateway = stack.use(await FakeGateway.listen(dir.path));
    gateway.populate(sas / 2);
    return new ScaleLab(stack, dir, gateway, dataplane);
  }

  async startAgent(): Promise<void> {
    const stop = new AbortController();
    const config = agentConfigSchema.parse({
      plugin: { socket: FakeGateway.pluginSocket(this.#dir.path) },
      vici: { uri: `unix://${FakeGateway.viciSocket(this.#dir.path)}` },
      dataplane: { target: this.dataplane.target },
      control: { socket: this.#dir.file('agent.sock') },
      auditIntervalMs: 3_600_000,
    });
    const running = runAgent(config, { logger: silentLogger, version: '0', signal: stop.signal });
    this.#stack.defer(async () => {
      stop.abort();
      await running;
    });
    await eventually('it answers', () => this.status());
  }

  status(): Promise<StatusReport> {
    return askAgent(this.#dir.file('agent.sock'), 'status', { signal: AbortSignal.timeout(10_000) });
  }

  /** Waits until nothing is left to do. */
  async inSync(): Promise<StatusReport> {
    return await eventually(
      'the agent is in sync',
      async () => {
        if (this.gateway.isRekeying) return undefined;
        const status = await this.status();
        return status.isReady && status.pending === 0 ? status : undefined;
      },
      { timeoutMs: PATIENCE_MS, intervalMs: 50 },
    );
  }

  async assertEqual(sas: number): Promise<void> {
    const { isInSync, entries } = await askAgent(this.#dir.file('agent.sock'), 'diff', {
      signal: AbortSignal.timeout(60_000),
    });
    assert.deepEqual({ isInSync, entries }, { isInSync: true, entries: [] });
    const { desired } = await this.status();
    assert.deepEqual(desired, { sas, policies: sas });
    assert.equal(this.dataplane.sas.length, sas);
    assert.equal(this.dataplane.policies.length, sas);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** What it takes to make a dataplane that has nothing equal to a charon that has everything. */
async function convergeFromNothing(sas: number): Promise<{ readonly operations: number }> {
  await using lab = await ScaleLab.create(sas);
  const before = new Set(lab.gateway.plugin.tables().sas.map(({ id }) => id.spi));
  await lab.startAgent();
  await lab.inSync();
  await lab.assertEqual(sas);
  // No key of before may have been used again: each CHILD_SA was rekeyed, and once is enough.
  assert.equal(lab.gateway.rekeyed, sas / 2);
  assert.ok(lab.dataplane.sas.every(({ id }) => id !== undefined && !before.has(id.spi)));
  return { operations: lab.dataplane.arrived.length };
}

test('SAs converge from cold in operations linear in their number', async () => {
  const small = await convergeFromNothing(200);
  const large = await convergeFromNothing(2_000);
  assert.ok(
    large.operations <= 10 * small.operations * 1.5,
    `${large.operations} operations, and ${small.operations} for a tenth`,
  );
});

test('an agent that finds everything in place lists it once and applies nothing', async () => {
  const listedBy = async (sas: number): Promise<number> => {
    await using lab = await ScaleLab.create(sas);
    await fillDataplane(lab.dataplane.target, lab.gateway.plugin);
    lab.dataplane.arrived.length = 0;
    await lab.startAgent();
    const { totals } = await lab.inSync();
    assert.equal(totals.operations, 0);
    assert.deepEqual(lab.dataplane.arrived, []);
    // Of comparisons, without readings of counters: those begin later.
    const { listed } = lab.dataplane;
    await lab.assertEqual(sas);
    return listed;
  };
  // Usually exactly SAs and policies; on a slow machine counters are read before, once.
  for (const sas of [1_000, 10_000]) assert.ok((await listedBy(sas)) <= 2 * 2 * sas, `${sas} SAs`);
});
