import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings, Site } from '../../test/support/index.ts';
import type { Pair } from './pair.ts';

/** The two CHILD_SAs each IKE_SA may have: the first comes with IKE_AUTH, the second by CREATE_CHILD_SA. */
export type ChildRank = 'first' | 'second';

/** More would not fit into a /24 of inner addresses. */
const TUNNELS_LIMIT = 200;

/** Third octets of the inner networks, by child and side. */
const NETS = { first: { left: 1, right: 2 }, second: { left: 3, right: 4 } } as const;

type Side = Site['name'];

export function ikeName(index: number): string {
  return `gw${index}`;
}

export function childName(index: number, rank: ChildRank): string {
  return `${rank}${index}`;
}

/**
 * Gives a site the inner addresses of so many tunnels: kernel-libipsec installs nothing for traffic
 * selectors without a local address. To be done before charon starts, which notices new ones late.
 */
export async function addInnerAddresses(site: Site, count: number): Promise<void> {
  if (count > TUNNELS_LIMIT) throw new RangeError(`at most ${TUNNELS_LIMIT} tunnels, not ${count}`);
  const addresses = indices(count).flatMap((index) => [
    innerAddress(index, 'first', site.name),
    innerAddress(index, 'second', site.name),
  ]);
  const batch = join(site.dir, 'addresses');
  await writeFile(batch, addresses.map((address) => `address replace ${address}/32 dev lo\n`).join(''));
  await site.namespace.ip('-batch', batch);
}

/** Loads `count` connections at both ends, numbered from 1, each with two CHILD_SAs of host selectors. */
export async function loadTunnels(pair: Pair, count: number): Promise<void> {
  for (const side of ['left', 'right'] as const) {
    await pair[side].charon.swanctl.load(tunnelsSettings(pair, side, count));
  }
}

function tunnelsSettings(pair: Pair, side: Side, count: number): Settings {
  const other = side === 'left' ? 'right' : 'left';
  const connections = indices(count).map((index) => [
    ikeName(index),
    {
      version: 2,
      local_addrs: pair[side].site.outer,
      remote_addrs: pair[other].site.outer,
      proposals: 'aes128-sha256-x25519',
      encap: true,
      rekey_time: 0,
      local: { auth: 'psk', id: `${side}${index}.test` },
      remote: { auth: 'psk', id: `${other}${index}.test` },
      children: {
        [childName(index, 'first')]: childSettings(index, 'first', side, other),
        [childName(index, 'second')]: childSettings(index, 'second', side, other),
      },
    },
  ]);
  return {
    connections: Object.fromEntries(connections),
    secrets: { 'ike-bench': { secret: 'a secret of the lab' } },
  };
}

function childSettings(index: number, rank: ChildRank, side: Side, other: Side): Settings {
  return {
    local_ts: `${innerAddress(index, rank, side)}/32`,
    remote_ts: `${innerAddress(index, rank, other)}/32`,
    esp_proposals: 'aes128gcm16',
    rekey_time: 0,
  };
}

function innerAddress(index: number, rank: ChildRank, side: Side): string {
  return `198.19.${NETS[rank][side]}.${index}`;
}

function indices(count: number): number[] {
  return Array.from({ length: count }, (_, position) => position + 1);
}
