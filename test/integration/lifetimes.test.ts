import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSameSas,
  establish,
  Lab,
  type PacketEnd,
  PacketFlow,
  type Peer,
  replacingChildSa,
  type Scene,
  type Settings,
  startScene,
} from '../support/index.ts';

const SIZE_BYTES = 512;

/** Limits of our end's SAs; the peer has none. Traffic goes one way, so one SA reaches them. */
type Case = {
  readonly what: string;
  readonly sender: 'ours' | 'peer';
  readonly child: Settings;
};

const SOFT: readonly Case[] = [
  { what: 'packets sent', sender: 'ours', child: { rekey_packets: 500, life_packets: 1_000_000 } },
  { what: 'packets received', sender: 'peer', child: { rekey_packets: 500, life_packets: 1_000_000 } },
  { what: 'bytes sent', sender: 'ours', child: { rekey_bytes: 300_000, life_bytes: 1_000_000_000 } },
  { what: 'bytes received', sender: 'peer', child: { rekey_bytes: 300_000, life_bytes: 1_000_000_000 } },
];

const HARD: readonly Case[] = [
  { what: 'packets sent', sender: 'ours', child: { rekey_packets: 0, life_packets: 500 } },
  { what: 'packets received', sender: 'peer', child: { rekey_packets: 0, life_packets: 500 } },
  { what: 'bytes sent', sender: 'ours', child: { rekey_bytes: 0, life_bytes: 300_000 } },
  { what: 'bytes received', sender: 'peer', child: { rekey_bytes: 0, life_bytes: 300_000 } },
];

const NO_MARGIN: Settings = { rand_packets: 0, rand_bytes: 0 };

async function establishLimited(scene: Scene, child: Settings): Promise<void> {
  await establish(scene, { isEncapsulated: true, ours: { child: { ...child, ...NO_MARGIN } } });
}

function startFlow({ lab, ours, peer }: Scene, sender: Case['sender']): Promise<PacketFlow> {
  const end = ({ site }: Peer): PacketEnd => ({ namespace: site.namespace, address: site.inner });
  const [from, to] = sender === 'ours' ? [ours, peer] : [peer, ours];
  return PacketFlow.start({
    ...{ from: end(from), to: end(to), dir: lab.dir },
    ...{ packetsPerSecond: 1_000, sizeBytes: SIZE_BYTES },
  });
}

for (const { what, sender, child } of SOFT) {
  test(`the soft limit of ${what} rekeys, again and again, and loses nothing`, async () => {
    await using lab = await Lab.create();
    const scene = await startScene(lab, { peer: 'libipsec' });
    const ends = [scene.ours, scene.peer] as const;
    await establishLimited(scene, child);
    await using flow = await startFlow(scene, sender);
    for (const _ of ['first', 'second']) {
      await replacingChildSa(ends, async () => {
        const { received } = await flow.received();
        await flow.waitReceived(received + 100);
      });
    }
    const { lost, duplicates } = await flow.finish();
    assert.deepEqual({ lost, duplicates }, { lost: 0, duplicates: 0 });
    assert.match(await scene.ours.charonLog(), /creating rekey job for CHILD_SA ESP/);
    assert.doesNotMatch(await scene.ours.charonLog(), /creating delete job/);
  });
}

test('a soft limit that is reached while there is no agent rekeys when there is one', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'libipsec' });
  await establishLimited(scene, { rekey_packets: 500, life_packets: 1_000_000 });
  await scene.gateway.killAgent();
  await using flow = await startFlow(scene, 'ours');
  await flow.waitReceived(600);
  await replacingChildSa([scene.ours, scene.peer], () => scene.gateway.restartAgent());
  const { lost, duplicates } = await flow.finish();
  assert.deepEqual({ lost, duplicates }, { lost: 0, duplicates: 0 });
});

for (const { what, sender, child } of HARD) {
  test(`the hard limit of ${what} ends the SAs on both ends; charon makes new ones`, async () => {
    await using lab = await Lab.create();
    const scene = await startScene(lab, { peer: 'libipsec' });
    await establishLimited(scene, child);
    await using flow = await startFlow(scene, sender);
    await replacingChildSa([scene.ours, scene.peer], () => flow.waitReceived(100));
    assert.match(await scene.ours.charonLog(), /creating delete job for CHILD_SA ESP/);
    await flow.finish();
    await assertSameSas(scene.ours, scene.peer, { count: 1 });
  });
}
