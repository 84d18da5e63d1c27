import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings, Site } from '../../support/index.ts';

/** How many IKE_SAs between the two gateways, and how many CHILD_SAs in each. */
export type TunnelGrid = { readonly ikeSas: number; readonly childrenEach: number };

export type GridOptions = {
  readonly grid: TunnelGrid;
  /** On top of every connection at the right end. */
  readonly peerConnection?: Settings;
  /** On top of every CHILD_SA. */
  readonly child?: Settings;
};

type Side = Site['name'];

/** First third octets of the inner networks. */
const NETS = { left: 32, right: 160 } as const;
/** /28 networks in a /24. */
const NETS_PER_OCTET = 16;
const LIMIT = 64 * NETS_PER_OCTET;

export function ikeName(ike: number): string {
  return `gw${ike}`;
}

function childName(child: number): string {
  return `net${child}`;
}

/** The CHILD_SAs of one IKE_SA. */
export function childNamesOf(ike: number, { childrenEach }: TunnelGrid): ReadonlySet<string> {
  return new Set(indices(childrenEach).map((position) => childName(ike * childrenEach + position)));
}

/** The first host of a CHILD_SA's inner network on one side. */
export function innerHost(child: number, side: Side): string {
  return address(child, side, 1);
}

function innerNet(child: number, side: Side): string {
  return `${address(child, side, 0)}/28`;
}

function address(child: number, side: Side, host: number): string {
  const third = NETS[side] + Math.floor(child / NETS_PER_OCTET);
  return `198.19.${third}.${(child % NETS_PER_OCTET) * 16 + host}`;
}

/** Lets nothing of the inner networks out in clear, whatever tunnels there are. */
const FENCE: Settings = {
  local_addrs: '127.0.0.1',
  children: {
    fence: {
      local_ts: '198.19.0.0/16',
      remote_ts: '198.19.0.0/16',
      mode: 'drop',
      start_action: 'trap',
    },
  },
};

/**
 * The swanctl.conf of one side: identities of its own for every IKE_SA, a pair of /28 networks for every
 * CHILD_SA. Every second IKE_SA has its ESP in UDP. The left side brings everything up when it is loaded.
 */
export function gridSettings(
  sites: Readonly<Record<Side, Site>>,
  side: Side,
  { grid: { ikeSas, childrenEach }, peerConnection = {}, child = {} }: GridOptions,
): Settings {
  if (ikeSas * childrenEach > LIMIT) throw new RangeError(`at most ${LIMIT} CHILD_SAs`);
  const other = side === 'left' ? 'right' : 'left';
  const connections = indices(ikeSas).map((ike) => [
    ikeName(ike),
    {
      version: 2,
      local_addrs: sites[side].outer,
      remote_addrs: sites[other].outer,
      proposals: 'aes128-sha256-x25519',
      encap: ike % 2 === 1,
      rekey_time: 0,
      local: { auth: 'psk', id: `${side}${ike}.test` },
      remote: { auth: 'psk', id: `${other}${ike}.test` },
      ...(side === 'right' ? peerConnection : {}),
      children: Object.fromEntries(
        indices(childrenEach).map((position) => {
          const number = ike * childrenEach + position;
          return [childName(number), { ...childSettings(number, side, other), ...child }];
        }),
      ),
    },
  ]);
  return {
    connections: { ...Object.fromEntries(connections), fence: FENCE },
    secrets: { 'ike-test': { secret: 'a secret of the lab' } },
  };
}

function childSettings(child: number, side: Side, other: Side): Settings {
  return {
    local_ts: innerNet(child, side),
    remote_ts: innerNet(child, other),
    esp_proposals: 'aes128gcm16',
    rekey_time: 0,
    start_action: side === 'left' ? 'start' : 'none',
  };
}

/** Gives a site the inner hosts of these CHILD_SAs. */
export async function addInnerHosts(site: Site, children: readonly number[]): Promise<void> {
  const batch = join(site.dir, 'addresses');
  const lines = children.map((child) => `address replace ${innerHost(child, site.name)}/32 dev lo\n`);
  await writeFile(batch, lines.join(''));
  await site.namespace.ip('-batch', batch);
}

function indices(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
