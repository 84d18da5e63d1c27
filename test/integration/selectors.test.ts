import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertCarriesPackets,
  assertSameSas,
  CHILD_NAME,
  establish,
  eventually,
  IKE_NAME,
  Lab,
  mergeSettings,
  PacketFlow,
  type Peer,
  rekeyIke,
  type Scene,
  type Settings,
  sadOf,
  startScene,
  Traffic,
  tunnelEnd,
  tunnelSettings,
} from '../support/index.ts';

const COUNT = 200;

type Way = {
  readonly from: Peer;
  readonly source?: string;
  readonly to: Peer;
  readonly destination?: string;
};

/** How many of so many packets arrive; the stream's number is part of the destination port. */
async function arrivals(lab: Lab, way: Way, stream = 1): Promise<number> {
  const { from, source = from.site.inner, to, destination = to.site.inner } = way;
  await using flow = await PacketFlow.start({
    from: { namespace: from.site.namespace, address: source },
    to: { namespace: to.site.namespace, address: destination },
    dir: lab.dir,
    packetsPerSecond: 1_000,
    count: COUNT,
    stream,
  });
  const { received, duplicates } = await flow.finish();
  assert.equal(duplicates, 0);
  return received;
}

/** The UDP port of a stream. */
const portOf = (stream: number): number => 7_001 + stream;

const AROUND_THE_PEER = [
  { what: 'everything on the far side', ours: '198.19.1.0/24', peer: '0.0.0.0/0', isEncapsulated: true },
  { what: 'everything on both sides', ours: '0.0.0.0/0', peer: '0.0.0.0/0', isEncapsulated: false },
  { what: 'everything on both sides', ours: '0.0.0.0/0', peer: '0.0.0.0/0', isEncapsulated: true },
  { what: "the peer's network", ours: '198.19.1.0/24', peer: '198.18.0.0/15', isEncapsulated: false },
] as const;

test('selectors that contain the peer leave IKE and ESP on the ordinary route', async (t) => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  for (const { what, ours, peer, isEncapsulated } of AROUND_THE_PEER) {
    await t.test(`${what}, ${isEncapsulated ? 'in UDP' : 'raw'}`, async () => {
      await establish(scene, { ours: { net: ours }, peer: { net: peer }, isEncapsulated });
      await assertCarriesPackets(scene, COUNT);
      await rekeyIke(scene.ours, scene.peer);
      await rekeyIke(scene.peer, scene.ours);
      await assertCarriesPackets(scene, COUNT);
      await scene.ours.swanctl.terminate({ ike: IKE_NAME });
      await assertSameSas(scene.ours, scene.peer, { count: 0 });
    });
  }
});

test('a tunnel between the gateways themselves carries what they send each other', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const { ours, peer } = scene;
  await establish(scene, { ours: { net: `${ours.site.outer}/32` }, peer: { net: `${peer.site.outer}/32` } });
  const ways: Way[] = [
    { from: ours, source: ours.site.outer, to: peer, destination: peer.site.outer },
    { from: peer, source: peer.site.outer, to: ours, destination: ours.site.outer },
  ];
  for (const way of ways) assert.equal(await arrivals(lab, way), COUNT);
  const { sas } = await sadOf(scene.gateway);
  assert.deepEqual(
    sas.map(({ packets }) => packets),
    [String(COUNT), String(COUNT)],
  );
});

const POOL = '198.19.9.0/28';
const VIRTUAL_IP = '198.19.9.1';

for (const { asker, peer } of [
  { asker: 'ours', peer: 'libipsec' },
  { asker: 'peer', peer: 'lagopus' },
] as const) {
  test(`a virtual IP is the inner address of ${asker === 'ours' ? 'our' : "the peer's"} side: ${peer}`, async () => {
    await using lab = await Lab.create();
    const scene = await startScene(lab, { peer });
    const giver = asker === 'ours' ? 'peer' : 'ours';
    await loadVirtualIp(scene, asker, giver);
    await scene[asker].swanctl.initiate(CHILD_NAME);
    await assertSameSas(scene.ours, scene.peer, { count: 1 });
    const there: Way = { from: scene[asker], source: VIRTUAL_IP, to: scene[giver] };
    const back: Way = { from: scene[giver], to: scene[asker], destination: VIRTUAL_IP };
    for (const way of [there, back]) assert.equal(await arrivals(lab, way), COUNT);
  });
}

async function loadVirtualIp(scene: Scene, asker: 'ours' | 'peer', giver: 'ours' | 'peer'): Promise<void> {
  const { left, right } = { left: tunnelEnd(scene[asker].site), right: tunnelEnd(scene[giver].site) };
  const tunnel = { left, right, isEncapsulated: true };
  const own = (settings: Settings): Settings => ({ connections: { [IKE_NAME]: settings } });
  const dynamic = (key: string): Settings => ({ children: { [CHILD_NAME]: { [key]: 'dynamic' } } });
  await scene[asker].swanctl.load(
    mergeSettings(tunnelSettings(tunnel, 'left'), own({ vips: '0.0.0.0', ...dynamic('local_ts') })),
  );
  await scene[giver].swanctl.load(
    mergeSettings(tunnelSettings(tunnel, 'right'), {
      ...own({ pools: 'inner', ...dynamic('remote_ts') }),
      pools: { inner: { addrs: POOL } },
    }),
  );
}

for (const { peer, ends } of [
  { peer: 'kernel', ends: 'newest' },
  { peer: 'lagopus', ends: 'oldest' },
] as const) {
  test(`of two CHILD_SAs with the same selectors the ${ends} ends and traffic goes on: ${peer}`, async () => {
    await using lab = await Lab.create();
    const scene = await startScene(lab, { peer });
    const twin = 'twin';
    await establish(scene);
    await loadTwins(scene, twin);
    await scene.ours.swanctl.initiate(twin);
    await assertSameSas(scene.ours, scene.peer, { count: 2 });
    await using traffic = await Traffic.start(scene, { packetsPerSecond: 1_000 });
    await traffic.flows();
    await scene.ours.swanctl.terminate({ child: ends === 'newest' ? twin : CHILD_NAME });
    await assertSameSas(scene.ours, scene.peer, { count: 1 });
    await traffic.flows();
    // The peer drops an SA that ends when it is told, and its own answer is still to come.
    if (ends === 'oldest') await traffic.assertComplete();
  });
}

/** Within one IKE_SA charon makes no duplicate: the twin belongs to another connection. */
async function loadTwins(scene: Scene, twin: string): Promise<void> {
  const tunnel = { left: tunnelEnd(scene.ours.site), right: tunnelEnd(scene.peer.site) };
  const connection = { unique: 'never' };
  for (const [{ swanctl }, end] of [
    [scene.ours, 'left'],
    [scene.peer, 'right'],
  ] as const) {
    const own = tunnelSettings({ ...tunnel, connection }, end);
    const { [IKE_NAME]: gw } = sectionOf(own, 'connections');
    const { [CHILD_NAME]: child } = sectionOf(sectionOf({ gw }, 'gw'), 'children');
    const other = { ...sectionOf({ gw }, 'gw'), children: { [twin]: child } };
    await swanctl.load(mergeSettings(own, { connections: { other } }));
  }
}

function sectionOf(settings: Settings, key: string): Settings {
  const section = settings[key];
  assert(typeof section === 'object');
  return section;
}

test('a selector of one protocol and port carries that and nothing else', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const { ours, peer } = scene;
  await establish(scene, {
    ours: { net: `${ours.site.innerNet}[udp]` },
    peer: { net: `${peer.site.innerNet}[udp/${portOf(1)}]` },
  });
  assert.equal(await arrivals(lab, { from: ours, to: peer }, 1), COUNT);
  assert.equal(await arrivals(lab, { from: ours, to: peer }, 2), 0);
});

const SHUNT = 'shunt';

/** A tunnel for all of the networks and a shunt for one port of them. */
async function loadWithShunt({ ours, peer, gateway }: Scene, mode: 'pass' | 'drop'): Promise<void> {
  // Where packets go that are not protected.
  await ours.site.namespace.ip('route', 'add', peer.site.innerNet, 'via', peer.site.outer);
  const shunt = {
    mode,
    local_ts: `${ours.site.innerNet}[udp]`,
    remote_ts: `${peer.site.innerNet}[udp/${portOf(2)}]`,
    start_action: 'trap',
  };
  const tunnel = { left: tunnelEnd(ours.site), right: tunnelEnd(peer.site) };
  const connections = { [IKE_NAME]: { children: { [SHUNT]: shunt } } };
  await ours.swanctl.load(mergeSettings(tunnelSettings(tunnel, 'left'), { connections }));
  await peer.swanctl.load(tunnelSettings(tunnel, 'right'));
  await eventually('the dataplane has the shunt', async () => {
    const { policies } = await sadOf(gateway);
    return policies.some(({ action }) => action === (mode === 'pass' ? 'bypass' : 'discard'));
  });
}

async function protectedPackets(scene: Scene): Promise<string | undefined> {
  const { sas } = await sadOf(scene.gateway);
  return sas.find(({ direction }) => direction === 'outbound')?.packets;
}

test('a pass shunt goes before the tunnel: what it names leaves in clear', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const { ours, peer } = scene;
  await loadWithShunt(scene, 'pass');
  await ours.swanctl.initiate(CHILD_NAME);
  assert.equal(await arrivals(lab, { from: ours, to: peer }, 1), COUNT);
  assert.equal(await arrivals(lab, { from: ours, to: peer }, 2), COUNT);
  assert.equal(await protectedPackets(scene), String(COUNT));
});

test('a drop shunt comes after the tunnel: what it names never leaves in clear', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const { ours, peer } = scene;
  await loadWithShunt(scene, 'drop');
  assert.equal(await arrivals(lab, { from: ours, to: peer }, 2), 0);
  await ours.swanctl.initiate(CHILD_NAME);
  assert.equal(await arrivals(lab, { from: ours, to: peer }, 2), COUNT);
  assert.equal(await protectedPackets(scene), String(COUNT));
  await ours.swanctl.terminate({ ike: IKE_NAME });
  assert.equal(await arrivals(lab, { from: ours, to: peer }, 2), 0);
});
