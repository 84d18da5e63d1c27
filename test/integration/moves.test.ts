import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SadReport } from '../../src/agent/index.ts';
import {
  assertSameSas,
  establish,
  eventually,
  Lab,
  rekeyChild,
  type Scene,
  sadOf,
  startScene,
  Traffic,
} from '../support/index.ts';

const NEW_PORT = 30_000;
const NEW_ADDRESS = '198.18.0.77';

/** SPIs and ends of our dataplane's SAs. */
async function endsOf({ gateway }: Scene): Promise<readonly string[]> {
  const { sas } = await sadOf(gateway);
  return sas.map(({ spi, source, destination }) => `${spi} ${source} > ${destination}`).sort();
}

/** The SAs are those of before: older, with more packets, and none dropped as replayed or else. */
async function assertGoOn({ gateway }: Scene, before: SadReport): Promise<void> {
  const { sas } = await sadOf(gateway);
  for (const old of before.sas) {
    const now = sas.find(({ spi }) => spi === old.spi);
    assert(now !== undefined && now.ageSeconds >= old.ageSeconds);
    assert(Number(now.packets) > Number(old.packets) && Number(now.bytes) > Number(old.bytes));
    assert.equal(now.drops, old.drops);
  }
}

test("a NAT that gives the peer another port: our dataplane's SAs follow", async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus', behindNat: 'peer' });
  await establish(scene, { initiator: 'peer' });
  await using traffic = await Traffic.start(scene, { packetsPerSecond: 500 });
  await traffic.flows();
  const ends = await endsOf(scene);
  const before = await sadOf(scene.gateway);
  assert(scene.router !== undefined);
  const { namespace } = scene.router;
  await namespace.run(['iptables', '-t', 'nat', '-F', 'POSTROUTING']);
  const rule = ['-A', 'POSTROUTING', '-o', 'right', '-p', 'udp'] as const;
  await namespace.run(['iptables', '-t', 'nat', ...rule, '-j', 'MASQUERADE', '--to-ports', String(NEW_PORT)]);
  // What the NAT remembers goes with the interface.
  await namespace.ip('link', 'set', 'right', 'down');
  await namespace.ip('link', 'set', 'right', 'up');
  await eventually('charon knows the new port', async () => {
    const { stdout } = await scene.ours.swanctl.run(['--list-sas', '--raw']);
    return stdout.includes(`remote-port=${NEW_PORT}`);
  });
  await traffic.flows();
  assert.deepEqual(await endsOf(scene), ends);
  await assertGoOn(scene, before);
  await assertSameSas(scene.ours, scene.peer, { count: 1 });
});

for (const peer of ['kernel', 'lagopus'] as const) {
  test(`an address that changes (MOBIKE): SAs follow it on both ends: ${peer}`, async () => {
    await using lab = await Lab.create();
    const scene = await startScene(lab, { peer });
    const anywhere = { connection: { local_addrs: '%any' } };
    await establish(scene, { ours: anywhere, peer: { connection: { remote_addrs: '%any' } } });
    await using traffic = await Traffic.start(scene, { packetsPerSecond: 500 });
    await traffic.flows();
    const { namespace, outer } = scene.ours.site;
    const ends = await endsOf(scene);
    const before = await sadOf(scene.gateway);
    await namespace.sysctl('net.ipv4.conf.eth0.promote_secondaries', '1');
    await namespace.addAddress('eth0', `${NEW_ADDRESS}/24`);
    await namespace.ip('address', 'delete', `${outer}/24`, 'dev', 'eth0');
    await eventually('our SAs are the same at the new address', async () => {
      assert.deepEqual(
        await endsOf(scene),
        ends.map((end) => end.replace(outer, NEW_ADDRESS)),
      );
      return true;
    });
    await traffic.flows();
    await assertGoOn(scene, before);
    await assertSameSas(scene.ours, scene.peer, { count: 1 });
    await rekeyChild(scene.peer, scene.ours);
    await traffic.flows();
  });
}
