import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { agentConfigSchema, askAgent, runAgent } from '../../src/agent/index.ts';
import { StatusMetrics } from '../../src/agent/metrics.ts';
import { ViciTunnels } from '../../src/agent/vici-tunnels.ts';
import { silentLogger } from '../../src/util/index.ts';
import { ViciClient } from '../../src/vici/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCharon } from '../support/fake-charon.ts';
import { FakeDataplane } from '../support/fake-dataplane.ts';
import { fakeStats, type ScriptedIkeSa } from '../support/fake-sas.ts';
import { sampleSa } from '../support/sample-sas.ts';
import { OWNER, TestAgent } from '../support/sync-lab.ts';
import { TempDir } from '../support/temp-dir.ts';
import { sampleChild, sampleIke } from '../vici/samples.ts';

const SPIS = { in: 0x1001, out: 0x2001 } as const;

/** The CHILD_SA whose SAs `sampleSa` are. */
function ikeSa(state = 'INSTALLED'): ScriptedIkeSa {
  const child = sampleChild({
    ...{ state, encap: 'no', 'spi-in': '00001001', 'spi-out': '00002001' },
    'remote-ts': ['198.19.2.0/24'],
  });
  return { name: 'gw', fields: sampleIke(), children: [child] };
}

/** An agent of source vici between a fake charon and a fake dataplane that another agent fills. */
class WatchLab implements AsyncDisposable {
  readonly charon: FakeCharon;
  readonly dataplane: FakeDataplane;
  readonly #stack: AsyncDisposableStack;
  readonly #socket: string;
  /** What `stats` says, when it is to be another number than there are. */
  ikeSas: number | undefined;

  private constructor(
    stack: AsyncDisposableStack,
    parts: { charon: FakeCharon; dataplane: FakeDataplane; socket: string },
  ) {
    this.#stack = stack;
    this.charon = parts.charon;
    this.dataplane = parts.dataplane;
    this.#socket = parts.socket;
  }

  static async start(): Promise<WatchLab> {
    const stack = new AsyncDisposableStack();
    const dir = stack.use(new TempDir());
    const dataplane = stack.use(new FakeDataplane(dir.file('dataplane.sock')));
    await dataplane.start();
    const version = { daemon: 'charon', version: '5.9.8', sysname: 'Linux', release: '6', machine: 'x86_64' };
    const charon: FakeCharon = stack.use(
      await FakeCharon.listen(dir.file('vici'), {
        commands: {
          version: () => ({ reply: version }),
          stats: () => ({ reply: fakeStats(lab.ikeSas ?? charon.sas.length) }),
        },
      }),
    );
    const socket = dir.file('agent.sock');
    const lab = new WatchLab(stack, { charon, dataplane, socket });
    const stop = new AbortController();
    const config = agentConfigSchema.parse({
      source: 'vici',
      vici: { uri: `unix://${dir.file('vici')}` },
      dataplane: { target: dataplane.target, owner: OWNER },
      control: { socket },
      auditIntervalMs: 3_600_000,
    });
    const running = runAgent(config, { logger: silentLogger, version: 'test', signal: stop.signal });
    stack.defer(async () => {
      stop.abort();
      await running;
    });
    await eventually('the first listing', async () => (await lab.status()).audit.completeListings > 0);
    return lab;
  }

  get #call(): { readonly signal: AbortSignal } {
    return { signal: AbortSignal.timeout(5_000) };
  }

  status() {
    return askAgent(this.#socket, 'status', this.#call);
  }

  plan() {
    return askAgent(this.#socket, 'plan', this.#call);
  }

  explain(spi: number) {
    return askAgent(this.#socket, 'explain', { ...this.#call, argument: spi.toString(16) });
  }

  /** Puts the SAs into the dataplane as an agent with keys does. */
  async fill(): Promise<void> {
    const agent = this.#stack.use(await TestAgent.start(this.dataplane.target));
    await agent.ready();
    await agent.add(
      sampleSa({ direction: 'inbound', spi: SPIS.in }),
      sampleSa({ direction: 'outbound', spi: SPIS.out }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

test('looks again when charon says that something happened', async () => {
  await using lab = await WatchLab.start();
  const before = (await lab.status()).audit.completeListings;
  lab.charon.sas = [ikeSa()];
  lab.charon.raise('child-updown', { up: 'yes', gw: { ...sampleIke(), 'child-sas': {} } });
  await eventually('another listing', async () => (await lab.status()).audit.completeListings > before);
  assert.equal((await lab.status()).desired.sas, 2);
});

test('takes many events for one reason to look', async () => {
  await using lab = await WatchLab.start();
  const before = (await lab.status()).audit.completeListings;
  lab.charon.storm('child-updown', 200, () => ({ up: 'yes', gw: { ...sampleIke(), 'child-sas': {} } }));
  await eventually('another listing', async () => (await lab.status()).audit.completeListings > before);
  await sleep(300);
  assert.ok((await lab.status()).audit.completeListings <= before + 2);
});

test('has metrics too, without a plugin and without a key', async () => {
  await using lab = await WatchLab.start();
  lab.charon.sas = [ikeSa()];
  await lab.plan();
  const text = await new StatusMetrics(new Registry(), () => lab.status()).render();
  assert.match(text, /^lagopus_ipsec_info\{version="test",source="vici"\} 1$/m);
  assert.match(text, /^lagopus_ipsec_link_up\{link="vici"\} 1$/m);
  assert.match(text, /^lagopus_ipsec_sas\{view="desired"\} 2$/m);
  assert.doesNotMatch(text, /link="plugin"/);
});

test('would install what the dataplane lacks, never becomes its writer, and sends it nothing', async () => {
  await using lab = await WatchLab.start();
  lab.charon.sas = [ikeSa()];
  const { entries, operations, isSent, isInSync } = await lab.plan();
  assert.deepEqual([isSent, isInSync], [false, false]);
  assert.deepEqual(
    entries.map(({ kind, what }) => [kind, what]),
    [
      ['missing', 'SA inbound esp 00001001 198.18.0.1'],
      ['missing', 'SA outbound esp 00002001 198.18.0.2'],
    ],
  );
  assert.deepEqual(
    operations.map(({ operation }) => operation),
    ['add-sa', 'add-sa'],
  );
  assert.deepEqual([lab.dataplane.acquisitions, lab.dataplane.arrived], [0, []]);
});

test('agrees with a dataplane that another agent keeps, and names what differs', async () => {
  await using lab = await WatchLab.start();
  lab.charon.sas = [ikeSa()];
  await lab.fill();
  assert.deepEqual((await lab.plan()).entries, []);
  lab.dataplane.changeSa(SPIS.in, { reqid: 9 });
  const { entries } = await lab.plan();
  assert.deepEqual(
    entries.map(({ kind, fields }) => [kind, fields]),
    [['different', ['reqid']]],
  );
});

test('counts nothing as gone that an incomplete listing lacks, and wants two complete ones to delete', async () => {
  await using lab = await WatchLab.start();
  await lab.fill();
  lab.ikeSas = 1;
  for (let round = 0; round < 3; round += 1) {
    const { entries, notes = [] } = await lab.plan();
    assert.deepEqual(entries, []);
    assert.match(notes.join('\n'), /not complete/);
  }
  lab.ikeSas = undefined;
  const first = await lab.plan();
  assert.deepEqual(
    first.entries.map(({ kind }) => kind),
    ['unexpected', 'unexpected'],
  );
  assert.deepEqual(first.operations, []);
  assert.match(first.withheld[0]?.reason ?? '', /absent from 1 complete listing/);
  const second = await lab.plan();
  assert.deepEqual(
    second.operations.map(({ operation }) => operation),
    ['delete-sa', 'delete-sa'],
  );
  assert.deepEqual(second.withheld, []);
});

test('tells the story of an SA that charon listed and lists no more', async () => {
  await using lab = await WatchLab.start();
  lab.charon.sas = [ikeSa()];
  await lab.plan();
  lab.charon.sas = [ikeSa('DELETED')];
  await lab.plan();
  const [listed] = (await lab.explain(SPIS.in)).sas;
  assert.deepEqual([listed?.charon?.state, listed?.desired], ['DELETED', null]);
  assert.match(listed?.next[0] ?? '', /nothing is installed and nothing deleted/);
  lab.charon.sas = [];
  await lab.plan();
  await lab.plan();
  const { sas, source } = await lab.explain(SPIS.in);
  assert.equal(source, 'vici');
  assert.deepEqual(
    sas[0]?.story.map(({ what, detail }) => [what, detail]),
    [
      ['listed by charon', null],
      ['listed by charon', 'being replaced or deleted'],
      ['charon has it no more', 'not in two complete listings'],
    ],
  );
});

test('the listing of an audit knows whether it is complete, without reading more than it needs', async () => {
  await using dir = new TempDir();
  let count = 1;
  const commands = { stats: () => ({ reply: fakeStats(count) }) };
  await using charon = await FakeCharon.listen(dir.file('vici'), { commands });
  charon.sas = [ikeSa()];
  await using client = new ViciClient({ uri: `unix://${dir.file('vici')}` });
  const tunnels = new ViciTunnels(client);
  const complete = await tunnels.listing();
  assert.deepEqual([complete.isComplete, complete.children.length], [true, 1]);
  count = 2;
  assert.equal((await tunnels.listing()).isComplete, false);
  const listings = charon.asked.filter(({ command }) => command === 'list-sas');
  assert.ok(listings.every(({ args }) => args.text('noblock') !== undefined));
});
