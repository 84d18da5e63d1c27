import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  assertCarriesPackets,
  assertSameSas,
  establish,
  IKE_NAME,
  Lab,
  parseXfrmState,
  type Scene,
  type SceneOptions,
  type SceneTunnel,
  sadOf,
  startScene,
  TestCa,
} from '../support/index.ts';

type Case = Required<Pick<SceneTunnel, 'ikeVersion' | 'auth' | 'esp' | 'isEncapsulated'>> & {
  readonly initiator: 'ours' | 'peer';
  readonly outer: Outer;
};

/** How ESP travels; with `nat` nobody asks for UDP, IKE finds out that it is needed. */
type Outer = 'raw' | 'udp' | 'nat';

const PACKETS = 300;

/** Pairwise: each proposal with raw ESP and in UDP, with each IKE version, secret and initiator. */
const KERNEL_CASES: readonly Case[] = [
  row(2, 'psk', 'ours', 'aes128gcm16', 'raw'),
  row(1, 'x509', 'peer', 'aes128gcm16', 'udp'),
  row(1, 'psk', 'peer', 'aes256gcm16', 'raw'),
  row(2, 'x509', 'ours', 'aes256gcm16', 'udp'),
  row(2, 'x509', 'peer', 'aes128-sha256', 'raw'),
  row(1, 'psk', 'ours', 'aes128-sha256', 'udp'),
  row(1, 'x509', 'ours', 'aes256-sha256', 'raw'),
  row(2, 'psk', 'peer', 'aes256-sha256', 'udp'),
  row(1, 'psk', 'ours', 'aes128-sha1', 'raw'),
  row(2, 'x509', 'peer', 'aes128-sha1', 'udp'),
  row(2, 'psk', 'peer', 'aes256-sha1', 'raw'),
  row(1, 'x509', 'ours', 'aes256-sha1', 'udp'),
];

/** Always in UDP: kernel-libipsec knows nothing else. */
const LIBIPSEC_CASES: readonly Case[] = [
  row(1, 'psk', 'ours', 'aes128gcm16', 'udp'),
  row(2, 'x509', 'peer', 'aes256gcm16', 'udp'),
  row(1, 'x509', 'peer', 'aes128-sha256', 'udp'),
  row(2, 'psk', 'ours', 'aes256-sha256', 'udp'),
  row(2, 'psk', 'peer', 'aes128-sha1', 'udp'),
  row(1, 'x509', 'ours', 'aes256-sha1', 'udp'),
];

const LAGOPUS_CASES: readonly Case[] = [
  row(2, 'x509', 'ours', 'aes256gcm16', 'raw'),
  row(1, 'psk', 'peer', 'aes128-sha256', 'raw'),
  row(1, 'x509', 'peer', 'aes128gcm16', 'udp'),
];

const NAT_CASES: readonly Case[] = [
  row(2, 'psk', 'ours', 'aes128gcm16', 'nat'),
  row(1, 'x509', 'ours', 'aes256-sha256', 'nat'),
];

function row(
  ikeVersion: 1 | 2,
  auth: 'psk' | 'x509',
  initiator: 'ours' | 'peer',
  esp: string,
  outer: Outer,
): Case {
  return { ikeVersion, auth, initiator, esp, outer, isEncapsulated: outer === 'udp' };
}

function title({ ikeVersion, auth, initiator, esp, outer }: Case): string {
  const role = initiator === 'ours' ? 'initiator' : 'responder';
  return `IKEv${ikeVersion}, ${auth}, ${role}, ${esp}, ${outer}`;
}

async function startWithCertificates(lab: Lab, options: SceneOptions): Promise<Scene> {
  const scene = await startScene(lab, options);
  const ca = await TestCa.create(join(lab.dir, 'ca'));
  for (const { site, swanctl } of [scene.ours, scene.peer])
    await ca.issueTo(`${site.name}.test`, swanctl.dir);
  return scene;
}

/** Sets the tunnel up, sends packets, looks closer, and takes it down from the end that did not initiate. */
async function assertTunnelWorks(scene: Scene, tunnel: Case, look?: () => Promise<void>): Promise<void> {
  await establish(scene, tunnel);
  try {
    const { sas } = await sadOf(scene.gateway);
    const encapsulation = tunnel.outer === 'raw' ? 'none' : 'udp';
    assert.deepEqual(
      sas.map((sa) => sa.encapsulation),
      [encapsulation, encapsulation],
    );
    await assertCarriesPackets(scene, PACKETS);
    await look?.();
  } finally {
    const last = tunnel.initiator === 'ours' ? scene.peer : scene.ours;
    await last.swanctl.terminate({ ike: IKE_NAME });
  }
  await assertSameSas(scene.ours, scene.peer, { count: 0 });
}

/** The kernel counts every packet of the only tunnel, and none as replayed or forged. */
async function assertKernelCounts(scene: Scene, { isEncapsulated }: Case): Promise<void> {
  assert(scene.guest !== undefined);
  const sas = parseXfrmState(await scene.guest.xfrmState());
  const { outer } = scene.peer.site;
  for (const isInbound of [true, false]) {
    const [sa, ...others] = sas.filter(({ destination }) => (destination === outer) === isInbound);
    assert(sa !== undefined && others.length === 0);
    const { packets, replayDrops, integrityFailures } = sa;
    assert.deepEqual(
      { packets, replayDrops, integrityFailures, isEncapsulated: sa.isEncapsulated },
      { packets: PACKETS, replayDrops: 0, integrityFailures: 0, isEncapsulated },
    );
  }
}

test('a tunnel to the Linux kernel', async (t) => {
  await using lab = await Lab.create();
  const scene = await startWithCertificates(lab, { peer: 'kernel' });
  for (const tunnel of KERNEL_CASES) {
    await t.test(title(tunnel), () =>
      assertTunnelWorks(scene, tunnel, () => assertKernelCounts(scene, tunnel)),
    );
  }
});

const OTHERS: readonly { to: string; cases: readonly Case[]; scene: SceneOptions }[] = [
  { to: "strongSwan's kernel-libipsec", cases: LIBIPSEC_CASES, scene: { peer: 'libipsec' } },
  { to: 'another gateway like this', cases: LAGOPUS_CASES, scene: { peer: 'lagopus' } },
  {
    to: 'kernel-libipsec, from behind a NAT',
    cases: NAT_CASES,
    scene: { peer: 'libipsec', behindNat: 'ours' },
  },
  {
    to: 'another gateway like this that is behind a NAT',
    cases: NAT_CASES.map((tunnel) => ({ ...tunnel, initiator: 'peer' })),
    scene: { peer: 'lagopus', behindNat: 'peer' },
  },
];

for (const { to, cases, scene: options } of OTHERS) {
  test(`a tunnel to ${to}`, async (t) => {
    await using lab = await Lab.create();
    const scene = await startWithCertificates(lab, options);
    for (const tunnel of cases) await t.test(title(tunnel), () => assertTunnelWorks(scene, tunnel));
  });
}
