import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSameSas,
  diffOf,
  establish,
  Lab,
  type PacketEnd,
  PacketFlow,
  type Peer,
  type Scene,
  sadOf,
  startScene,
} from '../support/index.ts';

const COUNT = 200;

async function arrivals(lab: Lab, from: PacketEnd, to: PacketEnd): Promise<number> {
  await using flow = await PacketFlow.start({
    from,
    to,
    dir: lab.dir,
    packetsPerSecond: 1_000,
    count: COUNT,
  });
  const { received, duplicates } = await flow.finish();
  assert.equal(duplicates, 0);
  return received;
}

/** Selectors of our dataplane's outbound policies. */
async function outboundPolicies({ gateway }: Scene): Promise<readonly string[]> {
  const { policies } = await sadOf(gateway);
  return policies
    .filter(({ direction }) => direction === 'outbound')
    .map(({ source, destination }) => `${source} > ${destination}`)
    .sort();
}

async function assertInSync(scene: Scene): Promise<void> {
  await assertSameSas(scene.ours, scene.peer, { count: 1 });
  assert.deepEqual(await diffOf(scene.gateway), { isInSync: true, entries: [] });
}

/** Each side's own network and another one, with a host in it. */
const SECOND = { left: '198.19.11', right: '198.19.12' } as const;

test('one CHILD_SA with two selectors on each side carries all four ways', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const endOf = ({ site }: Peer) => ({
    site,
    hosts: [site.inner, `${SECOND[site.name]}.1`],
    net: `${site.innerNet},${SECOND[site.name]}.0/24`,
  });
  const [ours, others] = [endOf(scene.ours), endOf(scene.peer)];
  for (const { site } of [ours, others]) {
    await site.namespace.addAddress('lo', `${SECOND[site.name]}.1/32`);
  }
  await establish(scene, { ours: { net: ours.net }, peer: { net: others.net } });
  assert.equal((await outboundPolicies(scene)).length, 4);
  for (const [from, to] of [
    [ours, others],
    [others, ours],
  ] as const) {
    for (const source of from.hosts) {
      for (const destination of to.hosts) {
        const sender = { namespace: from.site.namespace, address: source };
        const receiver = { namespace: to.site.namespace, address: destination };
        assert.equal(await arrivals(lab, sender, receiver), COUNT, `${source} > ${destination}`);
      }
    }
  }
  await assertInSync(scene);
});

for (const peer of ['libipsec', 'lagopus'] as const) {
  for (const initiator of ['ours', 'peer'] as const) {
    test(`${initiator} initiates with wide selectors, the other end narrows them: ${peer}`, async () => {
      await using lab = await Lab.create();
      const scene = await startScene(lab, { peer });
      const wide = { child: { local_ts: '198.19.0.0/16', remote_ts: '198.19.0.0/16' } };
      await establish(scene, { [initiator]: wide, initiator, isEncapsulated: true });
      assert.deepEqual(await outboundPolicies(scene), ['198.19.1.0-198.19.1.255 > 198.19.2.0-198.19.2.255']);
      const ours = { namespace: scene.ours.site.namespace, address: scene.ours.site.inner };
      const others = { namespace: scene.peer.site.namespace, address: scene.peer.site.inner };
      assert.equal(await arrivals(lab, ours, others), COUNT);
      assert.equal(await arrivals(lab, others, ours), COUNT);
      await assertInSync(scene);
    });
  }
}
