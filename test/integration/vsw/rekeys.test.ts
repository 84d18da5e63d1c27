import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { CHILD_NAME, eventually, Lab } from '../../support/index.ts';
import {
  assertCharonsKeys,
  assertSafe,
  carry,
  ModelFlow,
  rekeyRouters,
  startRouterPair,
} from './router-pair.ts';
import { establishRouterTunnel } from './tunnels.ts';

test('the router gets charon’s keys, and keeps them through three rekeys from either side without a loss', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab);
  await establishRouterTunnel(pair);
  const { left, right } = pair;
  await eventually(
    'packets pass',
    () => carry(left, right) === undefined && carry(right, left) === undefined,
  );
  using flow = new ModelFlow(pair);
  for (const [self, other] of [
    [left, right],
    [right, left],
  ] as const) {
    for (let at = 0; at < 3; at++) {
      await rekeyRouters(self, other);
      await assertCharonsKeys(pair, 1);
    }
  }
  await setTimeout(1_500);
  assert(flow.sent > 500, String(flow.sent));
  assert.deepEqual(flow.lost, []);
  assertSafe(pair);
});

test('with UDP encapsulation the router gets the ports', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab);
  await establishRouterTunnel(pair, { isEncapsulated: true });
  for (const { vsw } of [pair.left, pair.right]) {
    for (const { values } of vsw.sas()) {
      assert.deepEqual(values.udp, { sourcePort: 4500, destinationPort: 4500 });
    }
  }
  assertSafe(pair);
});

test('a terminated tunnel leaves nothing in the router, and nothing passes in clear', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab);
  await establishRouterTunnel(pair);
  const { left, right } = pair;
  await left.charon.swanctl.terminate({ child: CHILD_NAME });
  await eventually('empty routers', () => [left, right].every(({ vsw }) => vsw.sas().length === 0), {
    timeoutMs: 10_000,
  });
  await setTimeout(1_100);
  assert.match(carry(left, right) ?? 'delivered', /^not sent: (no policy|discard)/);
  assertSafe(pair);
});
