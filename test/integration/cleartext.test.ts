import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertCarriesPackets, establish, Lab, PacketFlow, startScene } from '../support/index.ts';

test('with strict reverse path filtering nothing of a tunnel comes in beside it, in clear', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const { ours, peer } = scene;
  await establish(scene);
  await ours.site.namespace.sysctl('net.ipv4.conf.all.rp_filter', '1');
  await assertCarriesPackets(scene, 100);
  await peer.site.namespace.ip('route', 'add', ours.site.innerNet, 'via', ours.site.outer);
  await peer.site.namespace.ip('rule', 'del', 'pref', '220');
  const [from, to] = [peer, ours].map(({ site }) => ({ namespace: site.namespace, address: site.inner }));
  assert(from !== undefined && to !== undefined);
  await using flow = await PacketFlow.start({ dir: lab.dir, packetsPerSecond: 200, from, to });
  await sleep(500);
  const { sent, received } = await flow.finish();
  assert(sent > 0);
  assert.equal(received, 0);
});
