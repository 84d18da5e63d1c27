import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { eventually, Lab } from '../../support/index.ts';
import {
  assertCharonsKeys,
  assertSafe,
  carry,
  ModelFlow,
  type RouterPair,
  rekeyRouters,
  startRouterPair,
} from './router-pair.ts';
import { establishRouterTunnel, initiate, loadRouterTunnel } from './tunnels.ts';

/** Repairs are rate-limited, and a tick comes before each is in force. */
const REPAIR_MS = 40_000;

async function passes({ left, right }: RouterPair): Promise<void> {
  await eventually(
    'packets pass both ways',
    () => carry(left, right) === undefined && carry(right, left) === undefined,
    { timeoutMs: REPAIR_MS },
  );
}

async function started(lab: Lab): Promise<RouterPair> {
  const pair = await startRouterPair(lab);
  await establishRouterTunnel(pair);
  await passes(pair);
  return pair;
}

test('a restarted agent moves no packet and reinstalls nothing', async () => {
  await using lab = await Lab.create();
  const pair = await started(lab);
  const { left } = pair;
  const commits = left.vsw.commitCount;
  using flow = new ModelFlow(pair);
  await left.restartAgent();
  await assertCharonsKeys(pair, 1);
  await setTimeout(1_200);
  assert.deepEqual(flow.lost, []);
  assert.equal(left.vsw.commitCount, commits);
  await rekeyRouters(left, pair.right);
  await assertCharonsKeys(pair, 1);
  assert.deepEqual(flow.lost, []);
  assertSafe(pair);
});

test('after a restart of vsw nothing comes back with an old key, and the tunnel works again', async () => {
  await using lab = await Lab.create();
  const pair = await started(lab);
  const { left } = pair;
  const before = left.vsw.sas().map(({ spi }) => spi);
  await left.restartVsw();
  await passes(pair);
  await assertCharonsKeys(pair, 1, REPAIR_MS);
  const outbound = left.vsw.sas().find(({ values }) => values.local === left.site.outer);
  assert(outbound !== undefined && !before.includes(outbound.spi), 'a new outbound SA');
  assertSafe(pair);
});

test('a restarted openconfigd costs no packet, and its next commit arrives', async () => {
  await using lab = await Lab.create();
  const pair = await started(lab);
  const { left } = pair;
  using flow = new ModelFlow(pair);
  await left.openconfigd.restart();
  await eventually('the relay is subscribed again', () => left.openconfigd.subscriberCount === 1, {
    timeoutMs: 15_000,
  });
  await rekeyRouters(left, pair.right);
  await assertCharonsKeys(pair, 1);
  await left.openconfigd.operate(['set network-instances network-instance vrf9 config type L3VRF']);
  await eventually('the new VRF', () => left.vsw.hasVrf('vrf9'), { timeoutMs: 5_000 });
  assert.deepEqual(flow.lost, []);
  assertSafe(pair);
});

test('a killed driver leaves vsw deaf: rekeys go on through PF_KEY, and a restart of vsw repairs it', async () => {
  await using lab = await Lab.create();
  const pair = await started(lab);
  const { left } = pair;
  using flow = new ModelFlow(pair);
  await left.driver.kill();
  await eventually('vsw is deaf', () => !left.vsw.isSubscribed);
  await setTimeout(1_200);
  assert.deepEqual(flow.lost, []);
  await left.startDriver();
  await left.agent.waitReady();
  assert.equal(left.vsw.isSubscribed, false);
  assert.match(await left.agent.show('status'), /^note +vsw is deaf .*SAs go through PF_KEY/m);
  for (const [self, other] of [
    [left, pair.right],
    [pair.right, left],
  ] as const) {
    await rekeyRouters(self, other);
    await assertCharonsKeys(pair, 1);
  }
  assert.deepEqual(flow.lost, []);
  await left.restartVsw();
  await passes(pair);
  await assertCharonsKeys(pair, 1, REPAIR_MS);
  assertSafe(pair);
});

test('a restarted charon’s old SAs go, and its new ones come', async () => {
  await using lab = await Lab.create();
  const pair = await started(lab);
  const { left, right } = pair;
  await left.restartCharon();
  await eventually('the old SAs are gone', () => left.vsw.sas().length === 0, { timeoutMs: REPAIR_MS });
  // The peer does not know yet that its IKE_SA has no other end.
  await right.restartCharon();
  await loadRouterTunnel(pair);
  await left.agent.waitReady();
  await initiate(left);
  await assertCharonsKeys(pair, 1, REPAIR_MS);
  await passes(pair);
  assertSafe(pair);
});

test('commits of the operator in the middle of ours neither lose nor change anything', async () => {
  await using lab = await Lab.create();
  const pair = await started(lab);
  const { left, right } = pair;
  using flow = new ModelFlow(pair);
  const ended = new AbortController();
  const operator = (async () => {
    for (let at = 0; at < 200 && !ended.signal.aborted; at++) {
      await left.openconfigd.operate([`set interfaces interface if0 config mtu ${1400 + at}`]);
      await setTimeout(20);
    }
  })();
  for (const [self, other] of [
    [left, right],
    [right, left],
  ] as const) {
    await rekeyRouters(self, other);
    await assertCharonsKeys(pair, 1);
  }
  ended.abort();
  await operator;
  assert.deepEqual(flow.lost, []);
  assertSafe(pair);
});
