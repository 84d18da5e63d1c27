import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { eventually, Lab } from '../../support/index.ts';
import type { RouterGatewayOptions } from '../../support/router-gateway.ts';
import {
  assertCharonsKeys,
  assertSafe,
  carry,
  ModelFlow,
  rekeyRouters,
  startRouterPair,
} from './router-pair.ts';
import { establishRouterTunnel } from './tunnels.ts';

/** Without a relay a later openconfigd waits 20 s for what vsw never sends. */
const VIA_PFKEY: RouterGatewayOptions = {
  via: 'pfkey',
  openconfigd: { release: '0.8.1' },
  vsw: { numbering: '0.8.2' },
};

test('via PF_KEY a tunnel has AES-256-CBC and SHA2-256, and rekeys from either side', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab, VIA_PFKEY);
  const { left, right } = pair;
  await establishRouterTunnel(pair, { esp: 'aes256-sha256' });
  for (const { vsw } of [left, right]) {
    assert.deepEqual(
      vsw.sas().map(({ values }) => [values.encryptionKey.length, values.integrityKey.length]),
      [
        [32, 32],
        [32, 32],
      ],
    );
    assert.equal(vsw.commitCount, left.vsw.commitCount, 'nothing of it came through the configuration');
  }
  await eventually(
    'packets pass both ways',
    () => carry(left, right) === undefined && carry(right, left) === undefined,
  );
  using flow = new ModelFlow(pair);
  for (const [self, other] of [
    [left, right],
    [right, left],
  ] as const) {
    await rekeyRouters(self, other);
    await assertCharonsKeys(pair, 1);
  }
  await setTimeout(1_200);
  assert.deepEqual(flow.lost, []);
  assertSafe(pair);
});

test('via PF_KEY a restarted driver knows its SAs, and nothing of them moves', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab, VIA_PFKEY);
  const { left, right } = pair;
  await establishRouterTunnel(pair, { esp: 'aes256-sha256' });
  await eventually(
    'packets pass both ways',
    () => carry(left, right) === undefined && carry(right, left) === undefined,
  );
  const spis = (): readonly number[] =>
    left.vsw
      .sas()
      .map(({ spi }) => spi)
      .sort();
  const before = spis();
  using flow = new ModelFlow(pair);
  await left.driver.kill();
  await left.startDriver();
  await left.agent.waitReady();
  await setTimeout(3_000);
  assert.deepEqual(spis(), before);
  assert.deepEqual(flow.lost, []);
  await rekeyRouters(left, right);
  await assertCharonsKeys(pair, 1);
  assert.deepEqual(flow.lost, []);
  assertSafe(pair);
});
