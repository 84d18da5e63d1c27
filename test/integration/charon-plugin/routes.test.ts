import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CHILD_NAME,
  eventually,
  mergeSettings,
  type Settings,
  tunnelEnd,
  tunnelSettings,
} from '../../support/index.ts';
import { logged, Rig, type RigOptions } from './rig.ts';

const DEVICE = 'lgp0';

/** charon's own routing table on the left end. */
async function routes(rig: Rig, family: 4 | 6 = 4): Promise<string[]> {
  const { stdout } = await rig.sites.left.namespace
    .run(['ip', `-${family}`, 'route', 'show', 'table', '220'])
    .catch(() => ({
      stdout: '', // there is no such table yet
    }));
  return stdout
    .split('\n')
    .map((line) => line.replaceAll(/ (proto \S+|scope \S+|linkdown|metric \d+|pref \S+)/g, '').trim())
    .filter((line) => line !== '');
}

/** Waits until these are the routes. */
async function assertRoutes(rig: Rig, expected: readonly string[]): Promise<void> {
  await eventually(`routes ${expected.join(', ')}`, async () => {
    assert.deepEqual(await routes(rig), expected);
    return true;
  });
}

async function addDevice(rig: Rig, name = DEVICE): Promise<void> {
  const { namespace } = rig.sites.left;
  await namespace.ip('tuntap', 'add', name, 'mode', 'tun');
  await namespace.ip('link', 'set', name, 'up');
}

/** A rig whose left agent asks for routes to a device that is there. */
async function start(options: RigOptions = {}): Promise<Rig> {
  const rig = await Rig.start(options);
  await addDevice(rig);
  rig.agent.ready(DEVICE);
  // the message is handled before the answer to this one is
  await sleep(100);
  return rig;
}

/** Loads a tunnel with other selectors. */
async function loadSelectors(rig: Rig, local: string, remote: string): Promise<void> {
  const { left, right } = rig.sites;
  await rig.load({ left: { ...tunnelEnd(left), net: local }, right: { ...tunnelEnd(right), net: remote } });
}

test('a route comes with the first outbound policy and goes with the last, from a local address', async () => {
  await using rig = await start();
  await rig.initiate();
  const route = [`198.19.2.0/24 dev ${DEVICE} src 198.19.1.1`];
  assert.deepEqual(await routes(rig), route);
  await rig.left.swanctl.rekey({ child: CHILD_NAME });
  await logged(rig.left, /outbound CHILD_SA net\{2\} established/);
  assert.deepEqual(await routes(rig), route);
  await rig.left.swanctl.terminate({ child: CHILD_NAME });
  await assertRoutes(rig, []);
});

test('routes outlive the agent, follow the interface it names, and wait for one that is not there', async () => {
  await using rig = await start();
  await rig.initiate();
  const to = (device: string): string[] => [`198.19.2.0/24 dev ${device} src 198.19.1.1`];
  await rig.killAgent();
  await sleep(200);
  assert.deepEqual(await routes(rig), to(DEVICE));
  await rig.restartAgent();
  await assertRoutes(rig, []);
  rig.agent.ready('lgp1');
  await logged(rig.left, 'installing route to 198.19.2.0/24 via lgp1 failed, will try again');
  await addDevice(rig, 'lgp1');
  await assertRoutes(rig, to('lgp1'));
  rig.agent.ready(DEVICE);
  await assertRoutes(rig, to(DEVICE));
  rig.agent.send({ kind: 'not-ready', reason: 'the dataplane restarts' });
  await sleep(200);
  assert.deepEqual(await routes(rig), to(DEVICE));
});

test('0.0.0.0/0 and a selector that is the peer: IKE goes on beside the route', async () => {
  for (const [local, remote, route] of [
    ['198.19.1.0/24', '0.0.0.0/0', `default dev ${DEVICE} src 198.19.1.1`],
    ['198.18.0.1/32', '198.18.0.2/32', `198.18.0.2 dev ${DEVICE} src 198.18.0.1`],
  ] as const) {
    await using rig = await start();
    await loadSelectors(rig, local, remote);
    await rig.initiate();
    assert.deepEqual(await routes(rig), [route]);
    await rig.left.swanctl.rekey({ ike: 'gw' });
    await logged(rig.left, /IKE_SA gw\[2\] (rekeyed|established)/);
    await rig.left.swanctl.rekey({ child: CHILD_NAME });
    await logged(rig.left, /outbound CHILD_SA net\{2\} established/);
    assert.deepEqual(await routes(rig), [route]);
  }
});

test('a gateway without an address behind it routes without a source', async () => {
  await using rig = await start();
  await loadSelectors(rig, '198.19.9.0/24', '198.19.2.0/24');
  await rig.initiate();
  assert.deepEqual(await routes(rig), [`198.19.2.0/24 dev ${DEVICE}`]);
});

test('IPv6 networks have routes like others', async () => {
  await using rig = await start();
  await rig.sites.left.namespace.ip('address', 'add', '2001:db8:1::1/128', 'dev', 'lo', 'nodad');
  await loadSelectors(rig, '2001:db8:1::/64', '2001:db8:2::/64');
  await rig.initiate();
  assert.deepEqual(await routes(rig, 6), [`2001:db8:2::/64 dev ${DEVICE} src 2001:db8:1::1`]);
  await rig.left.swanctl.terminate({ ike: 'gw' });
  assert.deepEqual(await routes(rig, 6), []);
});

test('a virtual IP is the source', async () => {
  await using rig = await start();
  const ends = { left: tunnelEnd(rig.sites.left), right: tunnelEnd(rig.sites.right) };
  const left = { ...ends.left, net: 'dynamic', connection: { vips: '0.0.0.0' } };
  const right = { ...ends.right, connection: { pools: 'inner' } };
  const tunnel = { left, right: { ...right, net: ends.right.net } };
  await rig.left.swanctl.load(tunnelSettings(tunnel, 'left'));
  await rig.right.swanctl.load(
    mergeSettings(tunnelSettings(tunnel, 'right'), { pools: { inner: { addrs: '198.19.7.7/32' } } }),
  );
  await rig.initiate();
  assert.deepEqual(await routes(rig), [`198.19.2.0/24 dev ${DEVICE} src 198.19.7.7`]);
});

test('transport mode routes the peer itself, from our own address', async () => {
  await using rig = await start();
  const { left, right } = rig.sites;
  await rig.load({
    left: { ...tunnelEnd(left), net: 'dynamic' },
    right: { ...tunnelEnd(right), net: 'dynamic' },
    child: { mode: 'transport' },
  });
  await rig.initiate();
  assert.deepEqual(await routes(rig), [`${right.outer} dev ${DEVICE} src ${left.outer}`]);
});

test('an interface ID or a mark leaves routes to the operator', async () => {
  for (const child of [
    { if_id_in: 7, if_id_out: 7 },
    { mark_in: 7, mark_out: 7 },
  ]) {
    await using rig = await start({ tunnel: { child } });
    await rig.initiate();
    assert.deepEqual(await routes(rig), []);
  }
});

/** A shunt as a CHILD_SA of a connection that is never initiated. */
function shunt(mode: 'pass' | 'drop', remote: string, extra: Settings = {}): Settings {
  return { local_ts: '198.19.1.0/24', remote_ts: remote, mode, start_action: 'trap', ...extra };
}

test('PASS takes its network out of the table, and wins; DROP leads to who discards', async () => {
  await using rig = await start();
  await rig.initiate();
  const tunnel = tunnelSettings(
    { left: tunnelEnd(rig.sites.left), right: tunnelEnd(rig.sites.right) },
    'left',
  );
  const shunts = (children: Settings): Promise<void> =>
    rig.left.swanctl.load(mergeSettings(tunnel, { connections: { shunts: { children } } }));
  const own = `198.19.2.0/24 dev ${DEVICE} src 198.19.1.1`;
  await shunts({
    dropped: shunt('drop', '198.19.4.0/24'),
    passed: shunt('pass', '198.19.3.0/24'),
    ports: shunt('pass', '198.19.5.0/24[tcp/22]'),
  });
  assert.deepEqual(await routes(rig), [
    own,
    'throw 198.19.3.0/24',
    `198.19.4.0/24 dev ${DEVICE} src 198.19.1.1`,
  ]);
  await shunts({ passed: shunt('pass', '198.19.2.0/24') });
  assert.deepEqual(await routes(rig), ['throw 198.19.2.0/24']);
  await shunts({ dropped: shunt('drop', '198.19.4.0/24') });
  assert.deepEqual(await routes(rig), [own, `198.19.4.0/24 dev ${DEVICE} src 198.19.1.1`]);
});

test('routes are left alone when strongswan.conf says so', async () => {
  await using rig = await start({ plugin: { routes: false } });
  await rig.initiate();
  assert.deepEqual(await routes(rig), []);
});
