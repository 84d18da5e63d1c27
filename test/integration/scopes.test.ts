import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScopeReport } from '../../src/agent/index.ts';
import {
  assertSameSas,
  CHILD_NAME,
  diffOf,
  establish,
  eventually,
  Gateway,
  type GatewayOptions,
  gatewayPeer,
  IKE_NAME,
  Lab,
  loadSceneTunnel,
  mergeSettings,
  type PacketEnd,
  PacketFlow,
  type Peer,
  type Scene,
  type Settings,
  type Site,
  sadOf,
  startScene,
  tunnelEnd,
  tunnelSettings,
} from '../support/index.ts';

const COUNT = 200;

/**
 * An inner host of its own behind a TUN device: a namespace with the device in it, so that two of them may
 * have the same addresses.
 */
async function hostBehind(
  lab: Lab,
  { site }: Pick<Peer, 'site'>,
  device: string,
  far: string,
): Promise<PacketEnd> {
  const namespace = await lab.namespace(`${site.name}-${device}`);
  await site.namespace.ip('link', 'set', device, 'netns', namespace.name);
  await namespace.ip('link', 'set', device, 'up');
  await namespace.addAddress(device, `${site.inner}/32`);
  await namespace.ip('route', 'add', far, 'dev', device, 'src', site.inner);
  return { namespace, address: site.inner };
}

/** How many of so many packets arrive. */
async function arrivals(lab: Lab, from: PacketEnd, to: PacketEnd): Promise<number> {
  await using flow = await PacketFlow.start({
    ...{ from, to, dir: lab.dir },
    ...{ packetsPerSecond: 1_000, count: COUNT },
  });
  const { received, duplicates } = await flow.finish();
  assert.equal(duplicates, 0);
  return received;
}

type Branch = { readonly name: string; readonly child: Settings };

/** Connections that differ by their identities and CHILD_SAs, between the same gateways and networks. */
function branchSettings({ ours, peer }: Scene, end: 'left' | 'right', branches: readonly Branch[]): Settings {
  return branches
    .map(({ name, child }): Settings => {
      const named = ({ site }: Peer) => ({ ...tunnelEnd(site), identity: `${name}.${site.name}.test` });
      const connection = { unique: 'never' };
      const settings = tunnelSettings({ left: named(ours), right: named(peer), connection, child }, end);
      const gateway = sectionOf(sectionOf(settings, 'connections'), IKE_NAME);
      const children = { [name]: sectionOf(sectionOf(gateway, 'children'), CHILD_NAME) };
      return { ...settings, connections: { [name]: { ...gateway, children } } };
    })
    .reduce(mergeSettings);
}

function sectionOf(settings: Settings, key: string): Settings {
  const section = settings[key];
  assert(typeof section === 'object');
  return section;
}

async function loadBranches(scene: Scene, branches: readonly Branch[]): Promise<void> {
  await scene.ours.swanctl.load(branchSettings(scene, 'left', branches));
  await scene.peer.swanctl.load(branchSettings(scene, 'right', branches));
}

/** Both ends of the product, each with the same further TUN devices and rules. */
async function startPair(
  lab: Lab,
  options: Pick<GatewayOptions, 'agentOverrides' | 'dataplaneOverrides'>,
): Promise<Scene & { readonly other: Gateway }> {
  const { left, right } = await lab.pair();
  const start = (site: Site): Promise<Gateway> =>
    Gateway.start(lab, site, { ...options, extra: { delete_rekeyed_delay: 1 } });
  const [gateway, other] = await Promise.all([start(left), start(right)]);
  return { lab, gateway, other, ours: gatewayPeer(gateway), peer: gatewayPeer(other), guest: undefined };
}

type Case = {
  readonly what: string;
  readonly branches: readonly [Branch, Branch];
  /** The device of the first branch is `red0`, that of the second `blue0`. */
  readonly tunDevices: readonly Readonly<Record<string, unknown>>[];
  readonly vrfRules?: readonly unknown[];
  readonly scopes: readonly [string, string];
};

function branches(childOf: (id: number) => Settings): readonly [Branch, Branch] {
  return [
    { name: 'red', child: childOf(41) },
    { name: 'blue', child: childOf(42) },
  ];
}

const withIfId = (id: number): Settings => ({ if_id_in: id, if_id_out: id });
const withMark = (id: number): Settings => ({ mark_in: id, mark_out: id, mark_in_sa: true });

const CASES: readonly Case[] = [
  {
    what: 'if_ids',
    branches: branches(withIfId),
    tunDevices: [
      { name: 'red0', ifId: 41 },
      { name: 'blue0', ifId: 42 },
    ],
    scopes: ['null 41 null', 'null 42 null'],
  },
  {
    what: 'marks',
    branches: branches(withMark),
    tunDevices: [
      { name: 'red0', mark: { value: 41 } },
      { name: 'blue0', mark: { value: 42 } },
    ],
    scopes: ['null null 0x29/0xffffffff', 'null null 0x2a/0xffffffff'],
  },
  {
    what: 'VRFs, chosen by rules',
    branches: [
      { name: 'red', child: withIfId(41) },
      { name: 'blue', child: withMark(42) },
    ],
    tunDevices: [
      { name: 'red0', vrf: 'red' },
      { name: 'blue0', vrf: 'blue' },
    ],
    vrfRules: [
      { ifId: 41, vrf: 'red' },
      { mark: { value: 42 }, vrf: 'blue' },
    ],
    scopes: ['red 41 null', 'blue null 0x2a/0xffffffff'],
  },
];

for (const { what, branches: both, tunDevices, vrfRules, scopes } of CASES) {
  test(`two tunnels with the same addresses in both do not mix: ${what}`, async () => {
    await using lab = await Lab.create();
    const pair = await startPair(lab, {
      dataplaneOverrides: { tunDevices },
      agentOverrides: vrfRules === undefined ? {} : { vrfRules },
    });
    await loadBranches(pair, both);
    for (const { name } of both) await pair.ours.swanctl.initiate(name);
    await assertSameSas(pair.ours, pair.peer, { count: 2 });
    await assertScopes(pair.gateway, scopes);
    const paths = await Promise.all(both.map(({ name }) => hostsBehind(pair, `${name}0`)));
    await assertDoNotMix(pair, paths);

    await pair.ours.swanctl.rekey({ child: 'red' });
    await eventually('the old SAs are gone', async () => {
      const { sas } = await sadOf(pair.gateway);
      return sas.length === 4 && sas.filter(({ packets }) => packets === '0').length === 2;
    });
    await pair.gateway.killAgent();
    await pair.gateway.restartAgent();
    await assertScopes(pair.gateway, scopes);
    await assertDoNotMix(pair, paths);
    for (const gateway of [pair.gateway, pair.other]) {
      assert.deepEqual(await diffOf(gateway), { isInSync: true, entries: [] });
    }

    // One ends; the other one's device and SAs stay as they are.
    await pair.ours.swanctl.terminate({ ike: 'red' });
    await assertSameSas(pair.ours, pair.peer, { count: 1 });
    const [red, blue] = paths;
    assert(red !== undefined && blue !== undefined);
    assert.equal(await arrivals(lab, red.ours, red.peer), 0);
    assert.equal(await arrivals(lab, blue.ours, blue.peer), COUNT);
  });
}

type Path = { readonly ours: PacketEnd; readonly peer: PacketEnd };

/** The hosts behind a device at both ends. */
async function hostsBehind({ lab, ours, peer }: Scene, device: string): Promise<Path> {
  return {
    ours: await hostBehind(lab, ours, device, peer.site.innerNet),
    peer: await hostBehind(lab, peer, device, ours.site.innerNet),
  };
}

/** SAs and policies are in each scope equally, and in no other. */
async function assertScopes(gateway: Gateway, expected: readonly string[]): Promise<void> {
  const { sas, policies } = await sadOf(gateway);
  const scopesOf = (entries: readonly ScopeReport[]): string[] =>
    entries.map(({ vrf, ifId, mark }) => `${vrf} ${ifId} ${mark}`).sort();
  const twice = [...expected, ...expected].sort();
  assert.deepEqual(scopesOf(sas), twice);
  assert.deepEqual(scopesOf(policies), twice);
}

/**
 * The same packets, bit for bit, on every path at once: each end gets its own and none of another's,
 * which it would count as duplicates.
 */
async function assertDoNotMix({ lab, gateway }: Scene, paths: readonly Path[]): Promise<void> {
  const sent = async (): Promise<number[]> => {
    const { sas } = await sadOf(gateway);
    return sas.filter(({ direction }) => direction === 'outbound').map(({ packets }) => Number(packets));
  };
  const before = sum(await sent());
  const arrived = await Promise.all(
    paths.flatMap(({ ours, peer }) => [arrivals(lab, ours, peer), arrivals(lab, peer, ours)]),
  );
  assert.deepEqual(
    arrived,
    arrived.map(() => COUNT),
  );
  assert.equal(sum(await sent()) - before, paths.length * COUNT);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

const MARKED: Settings = { mark_in: '0x2a/0xff', mark_out: '0x2a/0xff' };
const MARKED_DEVICE = { name: 'marked0', mark: { value: 0x2a, mask: 0xff } };

test('a marked tunnel to a peer without marks goes through its device; set_mark_out marks what leaves', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, {
    peer: 'libipsec',
    ours: { dataplaneOverrides: { tunDevices: [MARKED_DEVICE] } },
  });
  const { ours, peer } = scene;
  const child = { ...MARKED, mark_in_sa: true, set_mark_out: '0x1000/0xf000' };
  await establish(scene, { isEncapsulated: true, ours: { child } });
  const host = await hostBehind(lab, ours, MARKED_DEVICE.name, peer.site.innerNet);
  // The dataplane's own mark, 66, outside the mask.
  const marked = ['-A', 'OUTPUT', '-p', 'udp', '-m', 'mark', '--mark', '0x1042'] as const;
  await ours.site.namespace.run(['iptables', '-t', 'mangle', ...marked]);
  const far = { namespace: peer.site.namespace, address: peer.site.inner };
  assert.equal(await arrivals(lab, host, far), COUNT);
  assert.equal(await arrivals(lab, far, host), COUNT);
  const { stdout } = await ours.site.namespace.run(['iptables', '-t', 'mangle', '-nvxL', 'OUTPUT']);
  assert.match(stdout, new RegExp(`^ *${COUNT} .*mark match 0x1042`, 'm'));
});

test('the first packet into a scope with a trap brings its tunnel up', async () => {
  await using lab = await Lab.create();
  const tunDevices = [{ name: 'red0', ifId: 41 }];
  const scene = await startScene(lab, { peer: 'libipsec', ours: { dataplaneOverrides: { tunDevices } } });
  const { ours, peer, gateway } = scene;
  const child = { ...withIfId(41), start_action: 'trap' };
  await loadSceneTunnel(scene, { isEncapsulated: true, ours: { child } });
  await eventually('the trap policy is there', async () => {
    const { policies } = await sadOf(gateway);
    return policies.some(({ action, ifId }) => action === 'esp trap' && ifId === 41);
  });
  const from = await hostBehind(lab, ours, 'red0', peer.site.innerNet);
  const to = { namespace: peer.site.namespace, address: peer.site.inner };
  await using flow = await PacketFlow.start({ from, to, dir: lab.dir, packetsPerSecond: 100 });
  await assertSameSas(ours, peer, { count: 1 });
  await flow.waitReceived(20);
});

const REFUSED: readonly { readonly what: string; readonly child: Settings; readonly reason: RegExp }[] = [
  {
    what: 'an if_id without a TUN device',
    child: withIfId(5),
    reason: /no TUN device is for if_id 5; .*tunDevices: \[\{ name: NAME, ifId: 5 \}\]/,
  },
  {
    what: 'a mark of another mask than the device has',
    child: { mark_in: '0x2a', mark_out: '0x2a', mark_in_sa: true },
    reason: /no TUN device is for mark 0x2a\/0xffffffff/,
  },
  {
    what: 'a mark that the inbound SA has not',
    child: MARKED,
    reason: /come out of ipsec0: set mark_in_sa = yes/,
  },
  {
    what: 'a mark on decapsulated packets',
    child: { ...MARKED, mark_in_sa: true, set_mark_in: 7 },
    reason: /SET_MARK.*no mark/,
  },
];

test('a scope that nothing serves is refused in IKE, with what to configure', async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab, { dataplaneOverrides: { tunDevices: [MARKED_DEVICE] } });
  const { ours, peer, gateway } = pair;
  for (const { what, child, reason } of REFUSED) {
    await t.test(what, async () => {
      await loadSceneTunnel(pair, { ours: { child } });
      const before = (await ours.charonLog()).length;
      await assert.rejects(ours.swanctl.initiate(CHILD_NAME), /initiate failed/);
      await assertSameSas(ours, peer, { count: 0 });
      const added = (await ours.charonLog()).slice(before);
      assert.match(added, reason);
      const { sas, policies } = await sadOf(gateway);
      assert.deepEqual([sas, policies], [[], []]);
      await ours.swanctl.terminate({ ike: IKE_NAME });
    });
  }
});
