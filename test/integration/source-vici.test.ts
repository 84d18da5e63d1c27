import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askAgent, type DiffReport, type PlanReport } from '../../src/agent/index.ts';
import { ContractClient } from '../dataplane/contract-client.ts';
import {
  AgentProcess,
  assertSameSas,
  CHILD_NAME,
  CharonDaemon,
  CommandError,
  command,
  DataplaneProcess,
  establish,
  eventually,
  inRepository,
  Lab,
  loadTunnel,
  rekeyChild,
  type Site,
  startGatewayPair,
  statusOf,
  TempDir,
  tunnelEnd,
} from '../support/index.ts';

const AGENT = inRepository('bin', 'ipsec-agent');

/** kernel-libipsec has a device of the default name. */
const BESIDE_LIBIPSEC = { tun: { name: 'watched0' } };

type Watching = { readonly agent: AgentProcess; readonly dataplane: DataplaneProcess };

/** An agent that watches this charon, and a dataplane. They end with the lab. */
async function watch(
  lab: Lab,
  site: Site,
  options: { readonly viciUri: string; readonly dir: string; readonly dataplane?: DataplaneProcess },
): Promise<Watching> {
  const { viciUri, dir } = options;
  const { namespace } = site;
  const dataplane =
    options.dataplane ??
    lab.use(await DataplaneProcess.start({ namespace, dir, overrides: BESIDE_LIBIPSEC }));
  const agent = lab.use(
    await AgentProcess.start({
      ...{ namespace, dir, viciUri },
      pluginSocket: '/nowhere',
      dataplaneTarget: dataplane.target,
      overrides: { source: 'vici', auditIntervalMs: 1_000 },
    }),
  );
  return { agent, dataplane };
}

function diffOf({ agent }: Watching): Promise<DiffReport> {
  return askAgent(agent.controlSocket, 'diff', { signal: AbortSignal.timeout(5_000) });
}

function planOf({ agent }: Watching): Promise<PlanReport> {
  return askAgent(agent.controlSocket, 'plan', { signal: AbortSignal.timeout(5_000) });
}

test('source vici: watches a stock charon, and installs nothing', async (t) => {
  await using lab = await Lab.create();
  const { left, right } = await lab.pair();
  const start = async (site: Site): Promise<CharonDaemon> =>
    lab.use(await CharonDaemon.start({ namespace: site.namespace, dir: site.dir, backend: 'libipsec' }));
  const [a, b] = await Promise.all([start(left), start(right)]);
  await loadTunnel(
    { left: tunnelEnd(left), right: tunnelEnd(right), isEncapsulated: true },
    a.swanctl,
    b.swanctl,
  );
  const watching = await watch(lab, left, { viciUri: a.viciUri, dir: left.dir });
  const { agent, dataplane } = watching;

  await t.test('says so, and that nobody need wait for it', async () => {
    await eventually('it has listed charon', async () => (await diffOf(watching)).isInSync);
    assert.match(
      await agent.show('status'),
      /source vici: shows and compares; nothing is installed or deleted/,
    );
    await assert.rejects(
      command([AGENT, 'wait-ready', '--socket', agent.controlSocket]),
      (error) => error instanceof CommandError && /installs nothing/.test(error.message),
    );
  });

  await t.test('sees a CHILD_SA come by its event, and says what it would install', async () => {
    await a.swanctl.initiate(CHILD_NAME);
    const [child] = await a.swanctl.childSas();
    assert.ok(child !== undefined);
    const { operations, withheld, isSent, entries } = await planOf(watching);
    assert.deepEqual(
      entries.map(({ kind }) => kind),
      ['missing', 'missing'],
    );
    assert.deepEqual([isSent, withheld], [false, []]);
    for (const { operation, what } of operations) {
      assert.equal(operation, 'add-sa');
      assert.match(what, /^(in|out)bound esp [0-9a-f]{8} 198\.18\.0\.\d .* if its keys were known$/);
    }
    const story = await askAgent(agent.controlSocket, 'explain', {
      signal: AbortSignal.timeout(5_000),
      argument: child.spiIn.toString(16),
    });
    assert.equal(story.sas[0]?.charon?.childSa, 'net{1}');
    assert.deepEqual([story.sas[0]?.dataplane, story.sas[0]?.desired], [null, null]);
    assert.equal(story.sas[0]?.story[0]?.what, 'listed by charon');
  });

  await t.test('never was the writer, and the dataplane holds nothing', async () => {
    using client = new ContractClient(dataplane.target);
    assert.deepEqual(await client.sas(), []);
    assert.equal(await client.revision(), 0n);
    const log = await dataplane.process.log();
    assert.doesNotMatch(log, /writer/i);
  });

  await t.test('is told of charon going and coming back', async () => {
    await a.process.kill();
    await eventually('it says that charon is gone', async () =>
      /^vici +connecting/m.test(await agent.show('status')),
    );
  });
});

test("source vici: a second opinion on another agent's dataplane", async (t) => {
  await using lab = await Lab.create();
  const pair = await startGatewayPair(lab);
  await establish(pair);
  await using dir = new TempDir();
  const { gateway, ours, peer } = pair;
  const watching = await watch(lab, ours.site, {
    viciUri: gateway.charon.viciUri,
    dir: dir.path,
    dataplane: gateway.dataplane,
  });

  await t.test('agrees on every attribute that VICI tells', async () => {
    await eventually('no difference', async () => {
      const { entries } = await diffOf(watching);
      assert.deepEqual(entries, []);
      return true;
    });
    await rekeyChild(ours, peer);
    await assertSameSas(ours, peer, { count: 1 });
    assert.deepEqual((await diffOf(watching)).entries, []);
  });

  await t.test("shows the dataplane's SAs with charon's names", async () => {
    const { sas } = await askAgent(watching.agent.controlSocket, 'sad', {
      signal: AbortSignal.timeout(5_000),
    });
    assert.deepEqual(
      sas.map(({ childSa }) => childSa),
      ['net{2}', 'net{2}'],
    );
  });

  await t.test('wants two complete listings before it would delete', async () => {
    const [child] = await ours.swanctl.childSas();
    assert.ok(child !== undefined);
    // Frozen, the other agent leaves in the dataplane what charon deletes.
    gateway.agent.process.signal('SIGSTOP');
    await ours.swanctl.terminate({ child: CHILD_NAME }).catch(() => undefined);
    const unexpected = async (): Promise<boolean> => (await diffOf(watching)).entries.length > 0;
    await eventually('the difference', unexpected);
    await eventually('the evidence', async () => (await planOf(watching)).operations.length > 0);
    const { operations } = await planOf(watching);
    for (const { operation, what } of operations) {
      assert.equal(operation, 'delete-sa');
      assert.match(what, /: absent from 2 complete listings in a row$/);
    }
    using client = new ContractClient(gateway.dataplane.target);
    assert.ok((await client.sas()).length >= 2);
    gateway.agent.process.signal('SIGCONT');
    await eventually('both agree again', async () => (await diffOf(watching)).isInSync);
    // It would have been fenced by another writer.
    assert.equal((await statusOf(gateway)).isReady, true);
  });
});
