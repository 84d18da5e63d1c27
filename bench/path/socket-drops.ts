import type { NetNamespace } from '../../test/support/index.ts';

/**
 * UDP datagrams dropped so far because a socket's receive buffer was full, in a whole namespace.
 * kernel-libipsec receives through charon's own, of the default size: small packets fill it in some
 * 30 ms at 10,000 a second.
 */
export async function socketDrops(namespace: NetNamespace): Promise<number> {
  return parseRcvbufErrors((await namespace.run(['cat', '/proc/net/snmp'])).stdout);
}

/** A line of names for each protocol, then one of values. */
export function parseRcvbufErrors(snmp: string): number {
  const [names, values] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  const count = values?.[names?.indexOf('RcvbufErrors') ?? -1];
  if (count === undefined) throw new Error('no RcvbufErrors in /proc/net/snmp');
  return Number(count);
}
