import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CHILD_NAME,
  CharonDaemon,
  Lab,
  loadTunnel,
  PacketFlow,
  type Site,
  TestCa,
  type Tunnel,
  tunnelEnd,
  UmlGuest,
} from '../support/index.ts';

async function startLibipsec(lab: Lab, site: Site): Promise<CharonDaemon> {
  return lab.use(await CharonDaemon.start({ namespace: site.namespace, dir: site.dir, backend: 'libipsec' }));
}

function tunnelBetween(left: Site, right: Site): Tunnel {
  return { left: tunnelEnd(left), right: tunnelEnd(right), isEncapsulated: true };
}

async function assertCarriesPackets(lab: Lab, left: Site, right: Site): Promise<void> {
  const [leftEnd, rightEnd] = [left, right].map(({ namespace, inner }) => ({ namespace, address: inner }));
  assert(leftEnd !== undefined && rightEnd !== undefined);
  const rate = { dir: lab.dir, packetsPerSecond: 2_000, count: 1_000 };
  await using there = await PacketFlow.start({ from: leftEnd, to: rightEnd, ...rate });
  await using back = await PacketFlow.start({ from: rightEnd, to: leftEnd, ...rate });
  for (const report of await Promise.all([there.finish(), back.finish()])) {
    assert.deepEqual([report.sent, report.received, report.lost, report.duplicates], [1_000, 1_000, 0, 0]);
  }
}

test('two stock charons with kernel-libipsec carry packets both ways', async () => {
  await using lab = await Lab.create();
  const { left, right } = await lab.pair();
  const [a, b] = await Promise.all([startLibipsec(lab, left), startLibipsec(lab, right)]);
  await loadTunnel(tunnelBetween(left, right), a.swanctl, b.swanctl);
  await a.swanctl.initiate(CHILD_NAME);
  await assertCarriesPackets(lab, left, right);
  const [sa, ...others] = await a.swanctl.childSas();
  assert.equal(others.length, 0);
  assert.equal(sa?.state, 'INSTALLED');
  assert.equal(sa.packetsOut, 1_000);
});

test('certificates authenticate, and a NAT in between is noticed', async () => {
  await using lab = await Lab.create();
  const { left, right } = await lab.routed({ nat: true });
  const [a, b] = await Promise.all([startLibipsec(lab, left), startLibipsec(lab, right)]);
  const ca = await TestCa.create(`${lab.dir}/ca`);
  await ca.issueTo('left.test', a.swanctl.dir);
  await ca.issueTo('right.test', b.swanctl.dir);
  const tunnel: Tunnel = { ...tunnelBetween(left, right), auth: 'x509' };
  await loadTunnel(tunnel, a.swanctl, b.swanctl);
  await a.swanctl.initiate(CHILD_NAME);
  await assertCarriesPackets(lab, left, right);
});

test('a UML guest is a peer whose kernel does ESP', async () => {
  await using lab = await Lab.create();
  const { left, right } = await lab.pairWithGuest();
  const [a, guest] = await Promise.all([startLibipsec(lab, left), UmlGuest.start(right)]);
  lab.use(guest);
  const b = await guest.charon();
  await loadTunnel(tunnelBetween(left, right), a.swanctl, b);
  await b.initiate(CHILD_NAME);
  await assertCarriesPackets(lab, left, right);
  assert.match(await guest.xfrmState(), /proto esp spi 0x[0-9a-f]{8}/);
  const [sa] = await b.childSas();
  assert.deepEqual([sa?.packetsIn, sa?.packetsOut], [1_000, 1_000]);
});
