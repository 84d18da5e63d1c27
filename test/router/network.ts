import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { command, type Lab, type NetNamespace, type Site } from '../support/index.ts';
import { HOST, PEER, PORTS, ROUTER, TUNNEL_DEVICE, VRF } from './configuration.ts';

/** host ── inner, router (vsw), outer ── peer, a gateway */
export type RouterNetwork = {
  readonly router: Site;
  readonly peer: Site;
  readonly host: NetNamespace;
};

export async function makeNetwork(lab: Lab): Promise<RouterNetwork> {
  await command(['ethtool', '--version']).catch(() => {
    throw new Error(
      'ethtool is missing (checksums have to be whole where vsw reads): apt-get install ethtool',
    );
  });
  const [router, peer, host] = [
    await makeSite(lab, 'left', 'router', ROUTER),
    await makeSite(lab, 'right', 'peer', PEER),
    await lab.namespace('host'),
  ];
  const { namespace } = router;
  await namespace.sysctl('net.ipv4.ip_forward', '0');
  await namespace.sysctl('net.ipv4.conf.all.arp_ignore', '1');
  for (const [port, far, address] of [
    [PORTS[0], peer.namespace, `${PEER.outer}/24`],
    [PORTS[1], host, `${HOST}/24`],
  ] as const) {
    await lab.wire(namespace, port, far, 'eth0');
    await far.addAddress('eth0', address);
    await keepKernelOut(namespace, port);
    for (const [where, device] of [
      [namespace, port],
      [far, 'eth0'],
    ] as const) {
      await where.run(['ethtool', '-K', device, 'rx', 'off', 'tx', 'off']);
    }
  }
  await peer.namespace.addAddress('lo', `${PEER.inner}/32`);
  await host.ip('route', 'add', PEER.innerNet, 'via', ROUTER.inner);
  return { router, peer, host };
}

/** The port is vsw's: the kernel that it is a device of answers nothing there. */
async function keepKernelOut(namespace: NetNamespace, port: string): Promise<void> {
  await namespace.sysctl(`net.ipv6.conf.${port}.disable_ipv6`, '1');
  await namespace.sysctl(`net.ipv4.conf.${port}.rp_filter`, '1');
  await namespace.ip('link', 'set', port, 'promisc', 'on', 'arp', 'off');
}

async function makeSite(
  lab: Lab,
  name: Site['name'],
  label: string,
  addresses: Pick<Site, 'outer' | 'inner' | 'innerNet'>,
): Promise<Site> {
  const dir = join(lab.dir, label);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return { name, namespace: await lab.namespace(label), dir, seenAs: addresses.outer, ...addresses };
}

/**
 * The route into the tunnel. Where vsw made a VRF device the route is the VRF's, and charon, which is in none,
 * needs a way to the peer and to be heard.
 */
export async function routeIntoTunnel({ namespace }: Site): Promise<void> {
  const isVrf = await namespace.ip('-d', 'link', 'show', VRF).then(
    (text) => /^\s+vrf table/m.test(text),
    () => false,
  );
  const table = isVrf ? ['vrf', VRF] : [];
  await namespace.ip('route', 'replace', PEER.innerNet, 'dev', TUNNEL_DEVICE, ...table);
  if (!isVrf) return;
  await namespace.sysctl('net.ipv4.udp_l3mdev_accept', '1');
  await namespace.ip('route', 'replace', PEER.outer, 'dev', 'if0-0', 'src', ROUTER.outer);
}
