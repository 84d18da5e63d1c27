import type { Site } from './lab.ts';
import { mergeSettings, type Settings } from './settings.ts';
import type { Swanctl } from './swanctl.ts';

/** One end of a tunnel. */
export type TunnelEnd = {
  readonly address: string;
  /** The address the peer knows it by. */
  readonly seenAs: string;
  readonly identity: string;
  /** Its traffic selector. */
  readonly net: string;
  /** On top of the connection section, and of the CHILD_SA's, on this end only. */
  readonly connection?: Settings;
  readonly child?: Settings;
};

/** A tunnel both ends agree on; both ends' configuration follows from it. */
export type Tunnel = {
  readonly left: TunnelEnd;
  readonly right: TunnelEnd;
  readonly ikeVersion?: 1 | 2;
  readonly auth?: 'psk' | 'x509';
  /** ESP proposals, strongSwan's notation. */
  readonly esp?: string;
  /** Force UDP encapsulation. */
  readonly isEncapsulated?: boolean;
  /** On top of the connection section, the same on both ends. */
  readonly connection?: Settings;
  /** On top of the CHILD_SA's section, the same on both ends. */
  readonly child?: Settings;
};

/** A site as a tunnel's end: `left.test` and its inner network. */
export function tunnelEnd(site: Site): TunnelEnd {
  return { address: site.outer, seenAs: site.seenAs, identity: `${site.name}.test`, net: site.innerNet };
}

/** What `initiate`, `rekey` and `terminate` are given. */
export const CHILD_NAME = 'net';
export const IKE_NAME = 'gw';

/** The swanctl.conf of one end. Rekeying by time is off: tests force it. */
export function tunnelSettings(tunnel: Tunnel, end: 'left' | 'right'): Settings {
  const own = tunnel[end];
  const peer = tunnel[end === 'left' ? 'right' : 'left'];
  const auth = tunnel.auth === 'x509' ? 'pubkey' : 'psk';
  const child: Settings = {
    local_ts: own.net,
    remote_ts: peer.net,
    esp_proposals: tunnel.esp ?? 'aes128gcm16',
    rekey_time: 0,
    start_action: 'none',
    close_action: 'none',
  };
  const connection: Settings = {
    version: tunnel.ikeVersion ?? 2,
    local_addrs: own.address,
    remote_addrs: peer.seenAs,
    proposals: 'aes128-sha256-x25519',
    encap: tunnel.isEncapsulated ?? false,
    rekey_time: 0,
    reauth_time: 0,
    local: { auth, id: own.identity, ...(tunnel.auth === 'x509' ? { certs: 'cert.pem' } : {}) },
    remote: { auth, id: peer.identity },
    children: { [CHILD_NAME]: mergeAll(child, tunnel.child, own.child) },
  };
  return {
    connections: { [IKE_NAME]: mergeAll(connection, tunnel.connection, own.connection) },
    ...(auth === 'psk' ? { secrets: { 'ike-test': { secret: 'a secret of the lab' } } } : {}),
  };
}

function mergeAll(base: Settings, ...over: readonly (Settings | undefined)[]): Settings {
  return over.reduce<Settings>((merged, settings) => mergeSettings(merged, settings ?? {}), base);
}

/** Loads both ends; the caller initiates from the one it wants. */
export async function loadTunnel(tunnel: Tunnel, left: Swanctl, right: Swanctl): Promise<void> {
  await Promise.all([left.load(tunnelSettings(tunnel, 'left')), right.load(tunnelSettings(tunnel, 'right'))]);
}
