import type { NetNamespace, Site, UmlGuest } from '../support/index.ts';
import type { Family, Row } from './row.ts';

export type End = 'left' | 'right';

/** Every site of a bench has both families, outside and inside; IPv4 is the lab's own. */
const OUTER: Readonly<Record<End, Readonly<Record<Family, string>>>> = {
  left: { 4: '198.18.0.1', 6: '2001:db8:18::1' },
  right: { 4: '198.18.0.2', 6: '2001:db8:18::2' },
};

const INNER: Readonly<Record<End, Readonly<Record<Family, string>>>> = {
  left: { 4: '198.19.1.1', 6: '2001:db8:1::1' },
  right: { 4: '198.19.2.1', 6: '2001:db8:2::1' },
};

const NETS: Readonly<Record<End, Readonly<Record<Family, string>>>> = {
  left: { 4: '198.19.1.0/24', 6: '2001:db8:1::/64' },
  right: { 4: '198.19.2.0/24', 6: '2001:db8:2::/64' },
};

/** The guest's inner address. */
const GUEST_INNER = '2001:db8:2::fe';

/** That of the product's TUN device; so what is sent to it needs no smaller pieces than what it sends. */
const INNER_MTU = '1400';

/** Modules a guest needs beside those of IPv4 tunnels. */
const GUEST_MODULES = [
  ...['ipv6', 'esp6', 'ah6', 'xfrm6_tunnel', 'tunnel6', 'ip6_udp_tunnel'],
  ...['xcbc', 'des_generic', 'ecb', 'rfc3686'],
];

export function outerAddress(end: End, family: Family): string {
  return OUTER[end][family];
}

/** Where the row's datagrams come from and go to. */
export function endpoint(end: End, { mode, inner }: Row): string {
  return (mode === 'tunnel' ? INNER : OUTER)[end][inner];
}

/** All of them. */
export function endpoints(end: End): readonly string[] {
  return [INNER, OUTER].flatMap((addresses) => [addresses[end][4], addresses[end][6]]);
}

/** The traffic selector; in transport mode all UDP of the host (IKE's own is exempt everywhere). */
export function trafficSelector(end: End, { mode, inner }: Pick<Row, 'mode' | 'inner'>): string {
  return mode === 'tunnel' ? NETS[end][inner] : 'dynamic[udp]';
}

async function addIpv6(namespace: NetNamespace, device: string, address: string): Promise<void> {
  await namespace.ip('address', 'add', address, 'dev', device, 'nodad');
}

/** Gives a gateway's namespace its IPv6 addresses. */
export async function addAddresses({ name, namespace }: Site): Promise<void> {
  await addIpv6(namespace, 'eth0', `${OUTER[name][6]}/64`);
  await addIpv6(namespace, 'lo', `${INNER[name][6]}/128`);
}

/** The same for a guest and for the inner host behind it. */
export async function addGuestAddresses({ namespace }: Site, guest: UmlGuest): Promise<void> {
  await addIpv6(namespace, 'tap1', `${INNER.right[6]}/64`);
  await namespace.ip('route', 'add', 'default', 'via', GUEST_INNER);
  await namespace.ip('link', 'set', 'tap1', 'mtu', INNER_MTU);
  // Those that do not exist in this kernel are told by what then does not work.
  await guest.run(['sh', '-c', `modprobe -d /run/root -a ${GUEST_MODULES.join(' ')}; true`]);
  for (const args of [
    ['address', 'add', `${OUTER.right[6]}/64`, 'dev', 'vec0', 'nodad'],
    ['address', 'add', `${GUEST_INNER}/64`, 'dev', 'vec1', 'nodad'],
    ['link', 'set', 'vec1', 'mtu', INNER_MTU],
  ])
    await guest.run(['ip', ...args]);
  await guest.run(['sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding']);
}
