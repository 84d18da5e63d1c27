import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHILD_NAME, eventually, Lab, type Settings } from '../../support/index.ts';
import { assertSafe, startRouterPair } from './router-pair.ts';
import { initiate, loadRouterTunnel, ROUTER_CHILD } from './tunnels.ts';

const IF_ID = 42;

/** Beside the lab's own tunnel, one with the same selectors in another VRF. */
function secondChild(ownTs: string, otherTs: string): Settings {
  return {
    blue: {
      ...ROUTER_CHILD,
      local_ts: ownTs,
      remote_ts: otherTs,
      esp_proposals: 'aes128gcm16',
      if_id_in: IF_ID,
      if_id_out: IF_ID,
    },
  };
}

test('tunnels of two VRFs have SADs, policies and slots of their own, rekeyed too', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab, {
    vrfs: ['vrf1', 'vrf2'],
    agentOverrides: { vrfRules: [{ ifId: IF_ID, vrf: 'vrf2' }] },
  });
  const { left, right } = pair;
  const [leftTs, rightTs] = [`${left.site.inner}/32`, `${right.site.inner}/32`];
  await loadRouterTunnel(pair, {
    connections: {
      left: { children: secondChild(leftTs, rightTs) },
      right: { children: secondChild(rightTs, leftTs) },
    },
  });
  await initiate(left);
  await initiate(left, 'blue');
  const spisOf = async (name: string): Promise<readonly number[]> =>
    (await left.charon.swanctl.childSas())
      .filter((sa) => sa.name === name)
      .flatMap(({ spiIn, spiOut }) => [spiIn, spiOut])
      .sort();
  const holdsWhatCharonLists = async (): Promise<boolean> => {
    for (const [vrf, name] of [
      ['vrf1', CHILD_NAME],
      ['vrf2', 'blue'],
    ] as const) {
      const held = left.vsw.sas().filter((sa) => sa.vrf === vrf);
      const wanted = await spisOf(name);
      if (wanted.length !== 2) return false;
      if (
        held
          .map(({ spi }) => spi)
          .sort()
          .join() !== wanted.join()
      )
        return false;
      if (held.some(({ isInstalled }) => !isInstalled.inbound && !isInstalled.outbound)) return false;
    }
    return true;
  };
  await eventually('both VRFs hold their own', holdsWhatCharonLists, { timeoutMs: 20_000 });
  const before = await spisOf('blue');
  await left.charon.swanctl.rekey({ child: 'blue' });
  await eventually(
    'the rekeyed one is in its VRF alone',
    async () => (await spisOf('blue')).join() !== before.join() && (await holdsWhatCharonLists()),
    { timeoutMs: 20_000 },
  );
  const inner = { source: left.site.inner, destination: right.site.inner };
  for (const vrf of ['vrf1', 'vrf2']) {
    await eventually(`packets of ${vrf} use its own SA`, async () => {
      const sent = left.vsw.vrf(vrf).forwarding.send(inner);
      return sent.kind === 'esp' && right.vsw.vrf(vrf).forwarding.receive(sent.packet).kind === 'delivered';
    });
  }
  assert.equal(left.vsw.sas().length, 4);
  assertSafe(pair);
});
