import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHILD_NAME, eventually, IKE_NAME, Lab, logsDuring, type Settings } from '../../support/index.ts';
import { assertCharonsKeys, assertSafe, routerPeer, startRouterPair } from './router-pair.ts';
import { establishRouterTunnel, loadRouterTunnel, ROUTER_CHILD } from './tunnels.ts';

/** What a peer asks for, and what our charon says of it. */
const REFUSALS: readonly (readonly [{ esp?: string; child?: Settings }, RegExp])[] = [
  [{ esp: 'aes256gcm16' }, /256 bits is not supported by vsw/],
  [{ esp: 'aes128-sha256' }, /not supported by vsw/],
  [{ child: { replay_window: 32 } }, /no anti-replay/],
];

test('what a router does not have is refused while it is negotiated, with the reason in charon’s log', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab);
  const { left, right } = pair;
  for (const [tunnel, reason] of REFUSALS) {
    await loadRouterTunnel(pair, tunnel);
    await logsDuring(routerPeer(right), reason, () =>
      assert.rejects(left.charon.swanctl.initiate(CHILD_NAME)),
    );
    await left.charon.swanctl.terminate({ ike: IKE_NAME });
    assert.deepEqual([left.vsw.sas(), right.vsw.sas()], [[], []]);
  }
  assertSafe(pair);
});

test('of many CHILD_SAs none displaces another: collisions lead to other SPIs', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab);
  const { left } = pair;
  const names = Array.from({ length: 16 }, (_, at) => `c${at + 1}`);
  const children = (own: string, other: string): Settings =>
    Object.fromEntries(
      names.map((name, at) => [
        name,
        {
          ...ROUTER_CHILD,
          local_ts: `${own}.${at + 10}/32`,
          remote_ts: `${other}.${at + 10}/32`,
          esp_proposals: 'aes128gcm16',
          rekey_time: 0,
        },
      ]),
    );
  await loadRouterTunnel(pair, {
    connections: {
      left: { children: children('198.19.1', '198.19.2') },
      right: { children: children('198.19.2', '198.19.1') },
    },
  });
  await left.charon.swanctl.initiate(CHILD_NAME);
  for (const name of names) {
    await eventually(
      `${name} is up`,
      async () => {
        const isUp = async (): Promise<boolean> =>
          (await left.charon.swanctl.childSas()).some((sa) => sa.name === name && sa.state === 'INSTALLED');
        if (await isUp()) return true;
        await left.charon.swanctl.initiate(name).catch(() => undefined);
        return await isUp();
      },
      { timeoutMs: 30_000, intervalMs: 500 },
    );
  }
  await assertCharonsKeys(pair, names.length + 1, 30_000);
  assertSafe(pair);
});

test('`security ipsec` of the operator does not reach vsw', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab);
  await establishRouterTunnel(pair);
  const { left } = pair;
  const held = left.vsw.sas().map(({ spi }) => spi);
  await left.openconfigd.operate([
    'set network-instances network-instance vrf1 security ipsec sad sad-entries 77 config sa-mode tunnel',
    'set interfaces interface if0 config mtu 1400',
  ]);
  await left.openconfigd.operate(['delete network-instances network-instance vrf1 security']);
  await left.openconfigd.operate(['set interfaces interface if0 config mtu 1401']);
  await left.vsw.applied();
  assert.deepEqual(
    left.vsw.sas().map(({ spi }) => spi),
    held,
  );
  await assertCharonsKeys(pair, 1);
});
