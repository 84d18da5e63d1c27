import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSameSas,
  establish,
  eventually,
  Lab,
  PacketFlow,
  rekeyChild,
  type Scene,
  type SceneTunnel,
  type Site,
  sadOf,
  startScene,
  Traffic,
} from '../support/index.ts';

const V6 = { left: '2001:db8:18::1', right: '2001:db8:18::2', moved: '2001:db8:18::77' };
const NETS = { left: '2001:db8:1::/64', right: '2001:db8:2::/64' };
const INNER = { left: '2001:db8:1::1', right: '2001:db8:2::1' };

async function addIpv6({ name, namespace }: Site): Promise<void> {
  await namespace.ip('address', 'add', `${V6[name]}/64`, 'dev', 'eth0', 'nodad');
  await namespace.ip('address', 'add', `${INNER[name]}/128`, 'dev', 'lo', 'nodad');
}

/** Pings of many sizes, whole and in fragments; every one is answered. */
async function pings(from: Site, source: string, to: string): Promise<void> {
  for (const bytes of [0, 1, 1300, 1400, 5000, 65_000]) {
    const size = ['-s', String(bytes), '-c', '3', '-i', '0.05', '-W', '2'];
    await from.namespace.run(['ping', '-q', ...size, '-I', source, to]);
  }
}

/** Packets that our SAs carried, in and out. */
async function carried({ gateway }: Scene): Promise<readonly number[]> {
  const { sas } = await sadOf(gateway);
  return sas.map(({ packets }) => Number(packets));
}

/** Over IPv6, one family inside. */
function tunnel6(inner: 4 | 6, extra: SceneTunnel = {}): SceneTunnel {
  const end = (name: 'left' | 'right') => ({
    address: V6[name],
    seenAs: V6[name],
    ...(inner === 6 ? { net: NETS[name] } : {}),
  });
  return {
    ...extra,
    ours: { ...end('left'), ...extra.ours },
    peer: { ...end('right'), ...extra.peer },
  };
}

test('IPv6 tunnels between two of ours carry packets of every size, plain and in UDP', async (t) => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const { site } = scene.ours;
  await Promise.all([site, scene.peer.site].map(addIpv6));
  for (const isEncapsulated of [false, true]) {
    await t.test(isEncapsulated ? 'in UDP' : 'plain', async () => {
      await establish(scene, tunnel6(6, { isEncapsulated }));
      await pings(site, INNER.left, INNER.right);
      assert((await carried(scene)).every((packets) => packets >= 18));
      await rekeyChild(scene.ours, scene.peer);
      await pings(site, INNER.left, INNER.right);
      await scene.peer.swanctl.terminate({ ike: 'gw' });
      await assertSameSas(scene.ours, scene.peer, { count: 0 });
    });
  }
});

test('an IPv6 address that changes (MOBIKE): SAs follow it, in UDP too', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const { namespace } = scene.ours.site;
  await Promise.all([scene.ours.site, scene.peer.site].map(addIpv6));
  // MOBIKE takes whichever path answers first.
  await namespace.ip('-4', 'address', 'flush', 'dev', 'eth0');
  const anywhere = {
    ours: { connection: { local_addrs: '%any' } },
    peer: { connection: { remote_addrs: '%any' } },
  };
  await establish(scene, tunnel6(4, { ...anywhere, isEncapsulated: true }));
  await using traffic = await Traffic.start(scene, { packetsPerSecond: 300 });
  await traffic.flows();
  await namespace.ip('address', 'add', `${V6.moved}/64`, 'dev', 'eth0', 'nodad');
  await namespace.ip('address', 'delete', `${V6.left}/64`, 'dev', 'eth0');
  await eventually('our SAs are at the new address', async () => {
    const { sas } = await sadOf(scene.gateway);
    return sas.every(({ source, destination }) => [source, destination].includes(V6.moved));
  });
  await traffic.flows();
  await assertSameSas(scene.ours, scene.peer, { count: 1 });
});

test('transport mode protects whole datagrams between hosts, and IKE goes on beside it', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  const { ours, peer } = scene;
  await establish(scene, {
    child: { mode: 'transport' },
    ours: { net: 'dynamic' },
    peer: { net: 'dynamic' },
  });
  await pings(ours.site, ours.site.outer, peer.site.outer);
  await rekeyChild(peer, ours);
  await pings(peer.site, peer.site.outer, ours.site.outer);
  assert((await carried(scene)).every((packets) => packets >= 18));
  await ours.swanctl.terminate({ ike: 'gw' });
  await assertSameSas(ours, peer, { count: 0 });
  // Without a policy it is a host like others.
  await ours.site.namespace.run(['ping', '-q', '-c', '1', '-W', '2', peer.site.outer]);
});

test('transport mode from behind a NAT: checksums are right again (RFC 3948, 3.1.2)', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus', behindNat: 'ours' });
  const { ours, peer } = scene;
  await establish(scene, {
    child: { mode: 'transport' },
    ours: { net: 'dynamic' },
    peer: { net: 'dynamic' },
  });
  const flow = await PacketFlow.start({
    from: { namespace: ours.site.namespace, address: ours.site.outer },
    to: { namespace: peer.site.namespace, address: peer.site.outer },
    packetsPerSecond: 500,
    count: 300,
    dir: lab.dir,
  });
  const { sent, lost } = await flow.finish();
  assert.deepEqual({ sent, lost }, { sent: 300, lost: 0 });
  assert((await carried(scene)).some((packets) => packets >= 300));
  await pings(ours.site, ours.site.outer, peer.site.outer);
});
