import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { eventually, Lab } from '../../support/index.ts';
import { assertCharonsKeys, assertSafe, carry, startRouterPair } from './router-pair.ts';
import { establishRouterTunnel } from './tunnels.ts';

/** SAs of before are not put in again: charon rekeys, one after the other. */
const REPAIR_MS = 40_000;

for (const via of ['relay', 'pfkey'] as const) {
  test(`via: ${via} a vsw that has started passes nothing until an agent has brought charon's`, async () => {
    await using lab = await Lab.create();
    const pair = await startRouterPair(lab, { via, isRelayed: true });
    const { left, right } = pair;
    await establishRouterTunnel(pair, { esp: via === 'pfkey' ? 'aes256-sha256' : 'aes128gcm16' });
    const passes = () => carry(left, right) === undefined && carry(right, left) === undefined;
    await eventually('packets pass both ways', passes);
    const status = await left.agent.show('status');
    const tables = via === 'relay' ? ['vrf1 2'] : ['vrf1 inbound 1', 'vrf1 outbound 1'];
    for (const table of tables) assert.match(status, new RegExp(`^SPI slots +${table} of 127; `, 'm'));
    assert.doesNotMatch(status, /^note/m);

    await left.agent.process.kill();
    await left.restartVsw();
    await eventually('vsw has its configuration', () => left.vsw.hasVrf('vrf1'));
    for (let at = 0; at < 25; at++) {
      assert.equal(carry(left, right), 'not sent: closed');
      await setTimeout(100);
    }
    await left.startAgent();
    await eventually('packets pass both ways again', passes, { timeoutMs: REPAIR_MS });
    await assertCharonsKeys(pair, 1, REPAIR_MS);
    assertSafe(pair);
  });
}
