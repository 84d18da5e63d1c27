import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContractClient } from '../dataplane/contract-client.ts';
import { GatewayParts, type PartName } from '../support/gateway-parts.ts';
import {
  CHILD_NAME,
  CommandError,
  eventually,
  Gateway,
  IKE_NAME,
  Lab,
  type ListedChildSa,
  loadTunnel,
  PacketFlow,
  type Swanctl,
  tunnelEnd,
} from '../support/index.ts';

/** Our gateway in parts, and a whole one at the other site. */
type Pair = { readonly lab: Lab; readonly parts: GatewayParts; readonly peer: Gateway };

async function startPair(lab: Lab): Promise<Pair> {
  const { left, right } = await lab.pair();
  const peer = await Gateway.start(lab, right, { extra: { delete_rekeyed_delay: 1 } });
  return { lab, parts: new GatewayParts(lab, left), peer };
}

async function load({ parts, peer }: Pair): Promise<void> {
  const tunnel = { left: tunnelEnd(parts.site), right: tunnelEnd(peer.site) };
  await loadTunnel(tunnel, parts.swanctl, peer.charon.swanctl);
}

async function untilReady({ parts }: Pair): Promise<void> {
  await eventually('the agent is ready', async () => (await parts.status()).isReady, { timeoutMs: 20_000 });
}

/** What IKE said of a setup that failed. */
async function refusal(swanctl: Swanctl): Promise<string> {
  try {
    await swanctl.initiate(CHILD_NAME);
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
  return assert.fail('the setup succeeded');
}

async function onlySa({ parts, peer }: Pair): Promise<ListedChildSa | undefined> {
  const [own, theirs] = await Promise.all([parts.swanctl.childSas(), peer.charon.swanctl.childSas()]);
  const [sa, ...others] = own;
  const [match, ...more] = theirs;
  if (sa?.state !== 'INSTALLED' || others.length > 0 || more.length > 0) return undefined;
  return match?.spiIn === sa.spiOut && match.spiOut === sa.spiIn ? sa : undefined;
}

/** Both ends have one CHILD_SA, the same, our dataplane has its two SAs, and packets pass. */
async function assertWorks(pair: Pair): Promise<ListedChildSa> {
  const { parts, peer, lab } = pair;
  const sa = await eventually('one CHILD_SA at both ends', () => onlySa(pair), { timeoutMs: 40_000 });
  await eventually('the dataplane holds what charon has', async () => (await parts.diff()).isInSync);
  using client = new ContractClient(parts.dataplaneTarget);
  const held = (await client.sas()).map(({ sa: listed }) => listed?.id?.spi ?? 0);
  assert.deepEqual(held.sort(), [sa.spiIn, sa.spiOut].sort());
  const end = ({ namespace, inner }: typeof parts.site) => ({ namespace, address: inner });
  await using flow = await PacketFlow.start({
    ...{ dir: lab.dir, from: end(parts.site), to: end(peer.site) },
    ...{ packetsPerSecond: 1_000, count: 200 },
  });
  assert.equal((await flow.finish()).lost, 0);
  return sa;
}

async function establish(pair: Pair): Promise<ListedChildSa> {
  await load(pair);
  await pair.parts.swanctl.initiate(CHILD_NAME);
  return await assertWorks(pair);
}

/** The peer drops what it has of an earlier tunnel, if anything: its charon would wait for DPD. */
async function forget(peer: Gateway): Promise<void> {
  const force = ['--terminate', '--ike', IKE_NAME, '--force', '--timeout', '5'] as const;
  try {
    await peer.charon.swanctl.run(force);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
  }
}

/** Starts them in this order: until all three run a setup fails in IKE and says why, then it comes by itself. */
async function assertColdStart(pair: Pair, order: readonly PartName[]): Promise<void> {
  const { parts } = pair;
  for (const [index, name] of order.entries()) {
    await parts.start(name);
    const running = order.slice(0, index + 1);
    if (!running.includes('charon') || running.length === 3) continue;
    await load(pair);
    const said = await refusal(parts.swanctl);
    assert.match(said, /installing inbound SA .* failed: no agent is ready/, running.join(', '));
  }
  await untilReady(pair);
  // Nobody asks a second time: what failed is initiated again by the agent.
  await assertWorks(pair);
}

type Restart = {
  readonly order: readonly PartName[];
  /** charon's own SAs are gone with it; a lost dataplane's CHILD_SAs are rekeyed; else nothing moves. */
  readonly outcome: 'nothing moves' | 'rekeyed' | 'set up again';
};

/** Kills these at once under a tunnel that works, and starts them in this order. */
async function assertRestart(pair: Pair, { order, outcome }: Restart): Promise<void> {
  const { parts, peer } = pair;
  const before = await assertWorks(pair);
  await parts.kill(...order);
  await parts.start(...order);
  await untilReady(pair);
  if (outcome === 'set up again') {
    assert.deepEqual(await parts.swanctl.childSas(), []);
    using client = new ContractClient(parts.dataplaneTarget);
    assert.deepEqual(await client.sas(), []);
    await forget(peer);
    await load(pair);
    await parts.swanctl.initiate(CHILD_NAME);
  }
  const after = await assertWorks(pair);
  assert.equal(after.spiIn === before.spiIn, outcome === 'nothing moves');
  if (outcome === 'nothing moves') assert.equal((await parts.status()).totals.operations, 0);
}

const COLD: readonly (readonly PartName[])[] = [
  ['agent', 'charon', 'dataplane'],
  ['charon', 'agent', 'dataplane'],
  ['charon', 'dataplane', 'agent'],
];

const ALONE: readonly Restart[] = [
  { order: ['agent'], outcome: 'nothing moves' },
  { order: ['dataplane'], outcome: 'rekeyed' },
  { order: ['charon'], outcome: 'set up again' },
];

const IN_PAIRS: readonly Restart[] = [
  { order: ['agent', 'dataplane'], outcome: 'rekeyed' },
  { order: ['dataplane', 'agent'], outcome: 'rekeyed' },
  { order: ['agent', 'charon'], outcome: 'set up again' },
  { order: ['charon', 'agent'], outcome: 'set up again' },
  { order: ['charon', 'dataplane'], outcome: 'set up again' },
  { order: ['dataplane', 'charon'], outcome: 'set up again' },
];

test('cold starts, in any order', { timeout: 240_000 }, async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  for (const order of COLD) {
    await t.test(order.join(', '), async () => {
      try {
        await assertColdStart(pair, order);
      } finally {
        await pair.parts.kill(...order);
        await forget(pair.peer);
      }
    });
  }
});

test('restarts alone and in pairs, in any order', { timeout: 480_000 }, async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  await pair.parts.start('dataplane', 'charon', 'agent');
  await untilReady(pair);
  await establish(pair);
  for (const restart of [...ALONE, ...IN_PAIRS]) {
    const { order, outcome } = restart;
    await t.test(`${order.join(', ')}: ${outcome}`, () => assertRestart(pair, restart));
  }
});
