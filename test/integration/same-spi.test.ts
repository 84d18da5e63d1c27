import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  CharonDaemon,
  diffOf,
  eventually,
  Gateway,
  Lab,
  type Settings,
  type Site,
  sadOf,
  statusOf,
} from '../support/index.ts';
import { FakeAgent, OK } from './charon-plugin/fake-agent.ts';

const SAME_SPI = 0xc0ff_ee01;

/** A replaced inbound SA goes soon. */
const BRIEF = { delete_rekeyed_delay: 1 };

/** A peer whose SPIs are the test's to choose; nothing does its ESP. */
type ChoosyPeer = { readonly name: string; readonly outer: string; readonly net: string };

/** One end's connection to the other, with one CHILD_SA. */
function connection(options: {
  readonly local: string;
  readonly remote: string;
  readonly own: string;
  readonly other: string;
  readonly child: string;
  /** Local, remote. */
  readonly nets: readonly [string, string];
}): Settings {
  const { local, remote, own, other, child, nets } = options;
  return {
    version: 2,
    local_addrs: local,
    remote_addrs: remote,
    proposals: 'aes128-sha256-x25519',
    rekey_time: 0,
    local: { auth: 'psk', id: `${own}.test` },
    remote: { auth: 'psk', id: `${other}.test` },
    children: {
      [child]: { local_ts: nets[0], remote_ts: nets[1], esp_proposals: 'aes128gcm16', rekey_time: 0 },
    },
  };
}

const SECRETS: Settings = { 'ike-test': { secret: 'a secret of the lab' } };

/** The peer at 198.18.N.2 behind our interface ethN, for the network 198.19.N0.0/24. */
async function startPeer(lab: Lab, ours: Site, index: number): Promise<ChoosyPeer> {
  const peer = { name: `peer${index}`, outer: `198.18.${index}.2`, net: `198.19.${index}0.0/24` };
  const namespace = await lab.namespace(peer.name);
  const dir = join(lab.dir, peer.name);
  await lab.wire(ours.namespace, `eth${index}`, namespace, 'eth0');
  await ours.namespace.addAddress(`eth${index}`, `198.18.${index}.1/24`);
  await namespace.addAddress('eth0', `${peer.outer}/24`);
  const charon = lab.use(await CharonDaemon.start({ namespace, dir, backend: 'lagopus', extra: BRIEF }));
  const spis = spiChoice();
  lab.use(
    await FakeAgent.start(charon.pluginSocket, ({ kind }) =>
      kind === 'get-spi' ? { code: 'ok', spi: spis.next().value } : OK,
    ),
  );
  const gw = connection({
    ...{ local: peer.outer, remote: `198.18.${index}.1` },
    ...{ own: peer.name, other: 'left', child: 'net', nets: [peer.net, ours.innerNet] },
  });
  await charon.swanctl.load({ connections: { gw }, secrets: SECRETS });
  return peer;
}

/** The first one is the same for everybody. */
function* spiChoice(): Generator<number, never> {
  yield SAME_SPI;
  for (;;) yield 0xc100_0000 + Math.floor(Math.random() * 0xff_ffff);
}

/** A gateway with a tunnel to each of two peers, whose inbound SAs have the same SPI. */
async function startStar(lab: Lab): Promise<Gateway> {
  const { left } = await lab.pair();
  const peers = [await startPeer(lab, left, 2), await startPeer(lab, left, 3)];
  const gateway = await Gateway.start(lab, left, { extra: BRIEF });
  const connections = peers.map(({ name, outer, net }): [string, Settings] => [
    name,
    connection({
      ...{ local: outer.replace(/2$/, '1'), remote: outer },
      ...{ own: 'left', other: name, child: `to-${name}`, nets: [left.innerNet, net] },
    }),
  ]);
  const { swanctl } = gateway.charon;
  await swanctl.load({ connections: Object.fromEntries(connections), secrets: SECRETS });
  for (const { name } of peers) await swanctl.initiate(`to-${name}`);
  return gateway;
}

/** Destinations of our outbound SAs with the SPI both peers chose. */
async function withSameSpi(gateway: Gateway): Promise<readonly string[]> {
  const { sas } = await sadOf(gateway);
  const isSame = ({ direction, spi }: (typeof sas)[number]): boolean =>
    direction === 'outbound' && spi === SAME_SPI.toString(16);
  return sas.filter(isSame).map(({ destination }) => destination);
}

async function assertInSync(gateway: Gateway, destinations: readonly string[]): Promise<void> {
  await eventually(
    'the dataplane has what charon has',
    async () => {
      assert.deepEqual([...(await withSameSpi(gateway))].sort(), destinations);
      assert.deepEqual(await diffOf(gateway), { isInSync: true, entries: [] });
      assert.equal((await statusOf(gateway)).isReady, true);
      return true;
    },
    { timeoutMs: 30_000, intervalMs: 100 },
  );
}

test('two peers choose the same SPI: each has an SA of its own, whatever becomes of the other', async () => {
  await using lab = await Lab.create();
  const gateway = await startStar(lab);
  await assertInSync(gateway, ['198.18.2.2', '198.18.3.2']);
  await gateway.charon.swanctl.rekey({ child: 'to-peer2' });
  await assertInSync(gateway, ['198.18.3.2']);
  await gateway.charon.swanctl.terminate({ ike: 'peer2' });
  await assertInSync(gateway, ['198.18.3.2']);
});

test('two peers chose the same SPI and the dataplane lost both SAs: both CHILD_SAs are rekeyed', async () => {
  await using lab = await Lab.create();
  const gateway = await startStar(lab);
  await assertInSync(gateway, ['198.18.2.2', '198.18.3.2']);
  await gateway.killDataplane();
  await gateway.start('dataplane');
  await assertInSync(gateway, []);
  const { sas } = await sadOf(gateway);
  assert.equal(sas.length, 4);
});
