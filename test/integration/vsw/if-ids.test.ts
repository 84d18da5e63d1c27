import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHILD_NAME, eventually, IKE_NAME, Lab, logsDuring } from '../../support/index.ts';
import {
  assertCharonsKeys,
  assertSafe,
  carry,
  type RouterPair,
  routerPeer,
  startRouterPair,
} from './router-pair.ts';
import { establishRouterTunnel, initiate, loadRouterTunnel } from './tunnels.ts';

const IF_ID = 42;
const SCOPED = { child: { if_id_in: IF_ID, if_id_out: IF_ID } };
const VRFS = ['vrf1', 'vrf2'] as const;

async function passes({ left, right }: RouterPair, vrf: string): Promise<void> {
  await eventually(
    `packets pass both ways in ${vrf}`,
    () => carry(left, right, vrf) === undefined && carry(right, left, vrf) === undefined,
  );
}

test('two VRFs with the same networks: each has its own SAs and policies, chosen by if_id', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab, {
    vrfs: VRFS,
    agentOverrides: { vrfRules: [{ ifId: IF_ID, vrf: 'vrf2' }] },
  });
  const { left, right } = pair;
  await establishRouterTunnel(pair);
  await passes(pair, 'vrf1');
  assert.match(carry(left, right, 'vrf2') ?? 'delivered', /^not sent/, 'nothing of the other VRF is used');
  // The responder chooses a CHILD_SA by its networks: there is one of these at a time.
  await loadRouterTunnel(pair, SCOPED);
  await initiate(left);
  await assertCharonsKeys(pair, 2);
  for (const { vsw, site } of [left, right]) {
    const vrfs = vsw.sas().map(({ vrf }) => vrf);
    assert.deepEqual(vrfs.sort(), ['vrf1', 'vrf1', 'vrf2', 'vrf2'], site.name);
  }
  for (const vrf of VRFS) await passes(pair, vrf);
  const spiOf = (vrf: string): number => {
    const inner = { source: left.site.inner, destination: right.site.inner };
    const sent = left.vsw.vrf(vrf).forwarding.send(inner);
    return sent.kind === 'esp' ? sent.packet.spi : 0;
  };
  const vrfOfSpi = new Map(left.vsw.sas().map(({ spi, vrf }) => [spi, vrf]));
  for (const vrf of VRFS) assert.equal(vrfOfSpi.get(spiOf(vrf)), vrf);
  await left.charon.swanctl.terminate({ ike: IKE_NAME });
  await eventually('empty routers', () => [left, right].every(({ vsw }) => vsw.sas().length === 0), {
    timeoutMs: 15_000,
  });
  assertSafe(pair);
});

test('an if_id that no rule gives a VRF is refused with what to do', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab, { vrfs: VRFS });
  const { left, right } = pair;
  await loadRouterTunnel(pair, SCOPED);
  await logsDuring(routerPeer(right), /IF_ID.*vrfRules/, () =>
    assert.rejects(left.charon.swanctl.initiate(CHILD_NAME)),
  );
  assert.deepEqual([left.vsw.sas(), right.vsw.sas()], [[], []]);
});
