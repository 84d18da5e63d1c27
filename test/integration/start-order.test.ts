import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ContractClient } from '../dataplane/contract-client.ts';
import { GatewayParts, type PartName } from '../support/gateway-parts.ts';
import {
  CHILD_NAME,
  CommandError,
  eventually,
  Gateway,
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
  const sa = await eventually('one CHILD_SA at both ends', () => onlySa(pair), { timeoutMs: 20_000 });
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

/** Nothing of an earlier tunnel is left at either end. */
async function reset(pair: Pair): Promise<void> {
  const { parts, peer } = pair;
  await parts.kill('agent', 'charon', 'dataplane');
  await peer.charon.swanctl.run(['--terminate', '--ike', 'gw', '--force', '--timeout', '5']).catch((error) => {
    if (!(error instanceof CommandError)) throw error;
  });
}

/** What charon gets while something is missing. */
const MEANWHILE: Readonly<Record<string, RegExp>> = {
  charon: /failed: no agent is ready/,
  'charon agent': /failed: no agent is ready|no dataplane|not ready/,
  'charon dataplane': /failed: no agent is ready/,
};

async function assertColdStart(pair: Pair, order: readonly PartName[]): Promise<void> {
  const { parts } = pair;
  const started: PartName[] = [];
  for (const name of order) {
    await parts.start(name);
    started.push(name);
    if (!started.includes('charon') || started.length === 3) continue;
    const expected = MEANWHILE[[...started].sort((a, b) => 'cad'.indexOf(a[0] ?? '') - 'cad'.indexOf(b[0] ?? '')).join(' ')];
    await load(pair);
    const said = await refusal(parts.swanctl);
    console.log(order.join(), started.join(), '->', /failed: .*/.exec(said)?.[0]);
    assert.match(said, expected ?? /^$/);
  }
  await untilReady(pair);
  await establish(pair);
}

async function observeRestart(pair: Pair, killed: readonly PartName[], order: readonly PartName[]): Promise<void> {
  const { parts, peer } = pair;
  const before = await assertWorks(pair);
  using client = new ContractClient(parts.dataplaneTarget);
  const revision = await client.revision();
  await parts.kill(...killed);
  await parts.start(...order);
  await untilReady(pair);
  const { totals } = await parts.status();
  console.log('restart', order.join(), JSON.stringify(totals), 'revision', revision, await client.revision().catch(String), 'own', (await parts.swanctl.childSas()).length, 'peer', (await peer.charon.swanctl.childSas()).length);
  if (killed.includes('charon')) {
    await peer.charon.swanctl.run(['--terminate', '--ike', 'gw', '--force', '--timeout', '5']).catch(String);
    await load(pair);
    await parts.swanctl.initiate(CHILD_NAME);
  }
  const after = await assertWorks(pair);
  console.log('  same SA', before.spiIn === after.spiIn, JSON.stringify((await parts.status()).totals));
}

test('cold starts', async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  for (const order of [
    ['agent', 'charon', 'dataplane'],
    ['charon', 'agent', 'dataplane'],
    ['charon', 'dataplane', 'agent'],
    ['dataplane', 'agent', 'charon'],
  ] as const) {
    await t.test(order.join(', '), async () => {
      await assertColdStart(pair, order);
      await reset(pair);
    });
  }
  await t.test('restarts', async () => {
    await parts(pair);
  });
});

async function parts(pair: Pair): Promise<void> {
  await pair.parts.start('dataplane', 'charon', 'agent');
  await untilReady(pair);
  await establish(pair);
  for (const order of [
    ['agent'], ['dataplane'], ['charon'],
    ['agent', 'dataplane'], ['dataplane', 'agent'],
    ['agent', 'charon'], ['charon', 'agent'],
    ['charon', 'dataplane'], ['dataplane', 'charon'],
  ] as const) {
    await observeRestart(pair, order, order);
  }
}
