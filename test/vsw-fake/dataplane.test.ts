import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  deleteSa,
  deleteSp,
  routerConfig,
  sampleKey,
  sampleSa,
  sampleSp,
} from '../support/fake-lagopus/router-samples.ts';
import { SaState } from '../support/fake-lagopus/sa.ts';
import { eventually } from '../support/index.ts';
import { Router } from './harness.ts';

const OUT = { source: '198.19.1.9', destination: '198.19.2.9' };
const IN = { source: '198.19.2.9', destination: '198.19.1.9' };
const SAD = 'set network-instances network-instance vrf1 security ipsec sad sad-entries';

function stateOf(router: Router, spi: number): number | undefined {
  return router.vsw.sas().find((sa) => sa.spi === spi)?.state;
}

function fromPeer(spi: number, sequence = 1) {
  return { spi, sequence, source: '198.18.0.2', destination: '198.18.0.1', key: sampleKey(spi), inner: IN };
}

test('an SA is visible at once, mature and forwarding with the next tick', async () => {
  await using router = await Router.start();
  await router.operate([...sampleSa({ spi: 5 }), ...sampleSp({ name: 'out', spi: 5 })], { ticks: 0 });
  assert.equal(stateOf(router, 5), SaState.LARVAL);
  const { forwarding } = router.vsw.vrf('vrf1');
  assert.equal(forwarding.send(OUT).kind, 'dropped');
  router.vsw.tick();
  assert.equal(stateOf(router, 5), SaState.MATURE);
  const sent = forwarding.send(OUT);
  assert.ok(sent.kind === 'esp' && sent.packet.sequence === 1);
});

test('inbound wants the SPI and the exact outer addresses, local being the remote gateway', async () => {
  await using router = await Router.start();
  await router.operate([
    ...sampleSa({ spi: 6, local: '198.18.0.2', remote: '198.18.0.1' }),
    ...sampleSp({ name: 'in', spi: 6, direction: 'inbound' }),
  ]);
  const { forwarding } = router.vsw.vrf('vrf1');
  assert.equal(forwarding.receive(fromPeer(6)).kind, 'delivered');
  assert.equal(forwarding.receive(fromPeer(7)).kind, 'dropped');
  assert.equal(forwarding.receive({ ...fromPeer(6), source: '198.18.0.9' }).kind, 'dropped');
  assert.equal(forwarding.receive({ ...fromPeer(6), key: sampleKey(7) }).kind, 'dropped');
});

test('there is no anti-replay', async () => {
  await using router = await Router.start();
  await router.operate([
    ...sampleSa({ spi: 6, local: '198.18.0.2', remote: '198.18.0.1' }),
    ...sampleSp({ name: 'in', spi: 6, direction: 'inbound' }),
  ]);
  const { forwarding } = router.vsw.vrf('vrf1');
  for (let at = 0; at < 18; at++) assert.equal(forwarding.receive(fromPeer(6)).kind, 'delivered');
});

test('packets on a new inbound SA are dropped until the inbound SP names it', async () => {
  await using router = await Router.start();
  const inbound = { local: '198.18.0.2', remote: '198.18.0.1' };
  await router.operate([
    ...sampleSa({ spi: 6, ...inbound }),
    ...sampleSa({ spi: 8, ...inbound }),
    ...sampleSp({ name: 'in', spi: 6, direction: 'inbound' }),
  ]);
  const { forwarding } = router.vsw.vrf('vrf1');
  assert.deepEqual(forwarding.receive(fromPeer(8)), { kind: 'dropped', reason: 'SPI of the policy' });
  await router.operate(sampleSp({ name: 'in', spi: 8, direction: 'inbound' }).slice(0, 1));
  assert.equal(forwarding.receive(fromPeer(8)).kind, 'delivered');
  assert.equal(forwarding.receive(fromPeer(6)).kind, 'dropped');
});

test('of overlapping SPs the higher priority number wins; one selector takes one SP', async () => {
  await using router = await Router.start();
  await router.operate([
    ...sampleSa({ spi: 5 }),
    ...sampleSp({ name: 'low', spi: 5, priority: 10 }),
    ...sampleSp({ name: 'same', spi: 5, priority: 90, policy: 'discard' }),
    ...sampleSp({ name: 'high', spi: 5, priority: 20, policy: 'discard', destination: '198.19.2.9' }).map(
      (line) => line.replace('destination-address prefix-length 24', 'destination-address prefix-length 32'),
    ),
  ]);
  assert.equal(router.vsw.policies('vrf1').length, 2);
  const { forwarding } = router.vsw.vrf('vrf1');
  assert.deepEqual(forwarding.send(OUT), { kind: 'dropped', reason: 'discard' });
  assert.equal(forwarding.send({ ...OUT, destination: '198.19.2.8' }).kind, 'esp');
});

test('an SA committed in two steps is never installed while everything looks fine', async () => {
  await using router = await Router.start();
  const [mode, ...rest] = sampleSa({ spi: 5 });
  assert.equal(await router.operate([mode ?? '']), '');
  assert.equal(await router.operate(rest), '');
  assert.match(router.openconfigd.commands, /sad-entries 5 config esp encryption/);
  assert.equal(stateOf(router, 5), undefined);
});

test('a change of the encapsulation alone is ignored', async () => {
  await using router = await Router.start();
  await router.operate(sampleSa({ spi: 5 }));
  await router.operate([
    `${SAD} 5 config encap-protocol udp`,
    `${SAD} 5 config encap-src-port 4500`,
    `${SAD} 5 config encap-dst-port 4500`,
  ]);
  assert.equal(router.vsw.sas()[0]?.values.udp, undefined);
});

test('a lifetime in seconds ends the SA while the configuration still shows it; one in bytes never fires', async () => {
  await using router = await Router.start();
  await router.operate([
    ...sampleSa({ spi: 5, seconds: 60 }),
    ...sampleSa({ spi: 9 }),
    `${SAD} 9 config life-time life-time-in-byte 1`,
  ]);
  await router.operate(sampleSp({ name: 'out', spi: 9 }));
  for (let at = 0; at < 9; at++) router.vsw.vrf('vrf1').forwarding.send(OUT);
  await router.clock.advance(59_000);
  router.vsw.tick();
  assert.equal(stateOf(router, 5), SaState.MATURE);
  await router.clock.advance(1_100);
  router.vsw.tick();
  assert.equal(stateOf(router, 5), undefined);
  assert.match(router.openconfigd.commands, /sad-entries 5 /);
  assert.equal(stateOf(router, 9), SaState.MATURE);
});

test('vsw keeps what a commit does not mention, and one leaf alone works on a live entry', async () => {
  await using router = await Router.start();
  await router.operate([
    ...sampleSa({ spi: 5 }),
    ...sampleSa({ spi: 9 }),
    ...sampleSp({ name: 'out', spi: 5 }),
  ]);
  await router.operate([sampleSp({ name: 'out', spi: 9 })[0] ?? '']);
  const sent = router.vsw.vrf('vrf1').forwarding.send(OUT);
  assert.ok(sent.kind === 'esp' && sent.packet.spi === 9);
  assert.deepEqual([...router.vsw.matureSpis('vrf1')].sort(), [5, 9]);
});

test('SPIs of 2^31 and above work, and a SHA1 key of other than 40 digits is ignored silently', async () => {
  await using router = await Router.start();
  const sa = (spi: number, digits: number): readonly string[] => [
    ...sampleSa({ spi }).slice(0, 3),
    `${SAD} ${spi} config esp encryption aes-128-cbc key-str ${'1'.repeat(32)}`,
    `${SAD} ${spi} config esp authentication hmac-sha1-96 key-str ${'2'.repeat(digits)}`,
  ];
  await router.operate([...sa(0xfffffffe, 40), ...sa(5, 24)]);
  assert.deepEqual(router.vsw.matureSpis('vrf1'), [0xfffffffe]);
});

test('DELETE and SET of one SPI in one commit loses the SA, and SETting it again does not repair it', async () => {
  await using router = await Router.start();
  await router.operate(sampleSa({ spi: 5 }));
  // The router's own differences never do this to a whole entry: two commits within one tick do.
  await router.operate([deleteSa(5)], { ticks: 0 });
  await router.operate(sampleSa({ spi: 5, key: sampleKey(55) }));
  assert.equal(stateOf(router, 5), undefined);
  await router.operate(sampleSa({ spi: 5, key: sampleKey(66) }).slice(-1));
  assert.equal(stateOf(router, 5), undefined);
  await router.operate([deleteSa(5)]);
  await router.operate(sampleSa({ spi: 5, key: sampleKey(77) }));
  assert.equal(stateOf(router, 5), SaState.MATURE);
});

// Read in agents/tunnel/ipsec/openconfigd/spd/spd.go, not seen on a running vsw.
test('an SP of a namesake in another VRF is confused with it', async () => {
  await using router = await Router.start({ vrfs: ['vrf1', 'vrf2'] });
  for (const vrf of ['vrf1', 'vrf2']) {
    await router.operate([...sampleSa({ vrf, spi: 5 }), ...sampleSp({ vrf, name: 'same', spi: 5 })]);
  }
  await router.operate([deleteSp('same', 'vrf1')]);
  assert.equal(router.vsw.policies('vrf1').length, 1);
  assert.equal(router.vsw.policies('vrf2').length, 0);
});

// Read in agents/tunnel/ipsec/ipsec.go.
test('nothing of a VRF is installed before it has a tunnel interface', async () => {
  await using router = await Router.start({
    config: routerConfig('vrf1').filter((line) => !line.includes('tif0 subinterface')),
  });
  await router.operate(sampleSa({ spi: 5 }));
  assert.deepEqual(router.vsw.sas(), []);
});

for (const [name, line] of [
  [
    'detaching the tunnel interface',
    'delete network-instances network-instance vrf1 interfaces interface tif0',
  ],
  ['deleting a VRF that has SAs', 'delete network-instances network-instance vrf1'],
] as const) {
  test(`${name} crashes vsw, and it comes back empty`, async () => {
    await using router = await Router.start();
    await router.operate(sampleSa({ spi: 5 }));
    await router.openconfigd.operate([line]);
    await eventually('the crash', () => router.vsw.crash, { timeoutMs: 5_000 });
    assert.equal(router.vsw.isSubscribed, false);
    assert.deepEqual(router.vsw.sas(), []);
  });
}

test('after a restart of vsw openconfigd brings every SA back with the same key and sequence 1', async () => {
  await using router = await Router.start();
  await router.operate([...sampleSa({ spi: 5 }), ...sampleSp({ name: 'out', spi: 5 })]);
  router.vsw.vrf('vrf1').forwarding.send(OUT);
  await router.vsw.restart();
  await router.commits(2);
  router.vsw.tick();
  router.vsw.vrf('vrf1').forwarding.send(OUT);
  assert.deepEqual(
    router.vsw.nonces.reused.map(({ spi, sequence }) => ({ spi, sequence })),
    [{ spi: 5, sequence: 1 }],
  );
});

test('vsw never subscribes again: after a restart of openconfigd later commits are lost silently', async () => {
  await using router = await Router.start();
  await router.openconfigd.restart();
  await eventually('vsw is deaf', () => !router.vsw.isSubscribed, { timeoutMs: 5_000 });
  assert.equal(await router.openconfigd.operate(sampleSa({ spi: 5 })), '');
  assert.deepEqual(router.vsw.sas(), []);
  assert.equal(router.vsw.isRunning, true);
});

test('vsw that starts while nobody listens stays deaf', async () => {
  await using router = await Router.start();
  router.openconfigd.stop();
  await router.vsw.restart();
  await eventually('vsw is deaf', () => !router.vsw.isSubscribed, { timeoutMs: 5_000 });
  await router.openconfigd.restart();
  assert.equal(router.openconfigd.subscriberCount, 0);
});

test('boot: two subscriptions of module config, then about 30 Register calls', async () => {
  await using router = await Router.start();
  assert.equal(router.openconfigd.subscriberCount, 1);
  const { registered } = router.openconfigd;
  assert.equal(registered.length, 31);
  assert.deepEqual([registered[0]?.module, registered[1]?.module], ['showServer', 'showServer']);
});

test('0.8.2 and later: the second COMMIT of a subscription comes 20 s after the first', async () => {
  await using router = await Router.start({ release: '0.8.3' });
  await router.commits(1);
  assert.equal(router.vsw.commitCount, 1);
  await router.clock.advance(20_000);
  await router.commits(2);
});
