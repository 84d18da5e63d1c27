import assert from 'node:assert/strict';
import { type ConnectionConfig, ViciClient } from '../../src/vici/index.ts';
import { Charon6, fetchStrongswan6 } from './charon-6.ts';
import { CharonDaemon } from './charon-daemon.ts';
import type { Lab, Site } from './lab.ts';
import { CHILD_NAME, IKE_NAME } from './tunnel.ts';

export type StrongswanVersion = '5.9.8' | '6.0.1';
export const STRONGSWAN_VERSIONS: readonly StrongswanVersion[] = ['5.9.8', '6.0.1'];

/** Why there can be no charon of this version, if so. */
export function whyNot(version: StrongswanVersion): string | undefined {
  return version === '6.0.1' ? fetchStrongswan6() : undefined;
}

export type ViciPair = {
  readonly left: Site;
  readonly right: Site;
  readonly uri: string;
  readonly vici: ViciClient;
  /** The other end is Debian 12's. */
  readonly peer: ViciClient;
};

/** Two charons, the left one of this version, that know nothing yet. They end with the lab. */
export async function startViciPair(lab: Lab, version: StrongswanVersion): Promise<ViciPair> {
  const { left, right } = await lab.pair();
  const start = (site: Site): Promise<CharonDaemon> =>
    CharonDaemon.start({ namespace: site.namespace, dir: site.dir, backend: 'libipsec' });
  const [a, b] = await Promise.all([version === '6.0.1' ? Charon6.start(left) : start(left), start(right)]);
  lab.use(a);
  lab.use(b);
  const vici = lab.use(new ViciClient({ uri: a.viciUri }));
  const peer = lab.use(new ViciClient({ uri: b.viciUri }));
  return { left, right, uri: a.viciUri, vici, peer };
}

/** A connection between the two sites, as `load-conn` takes it. */
export function connectionConfig(own: Site, other: Site, more: ConnectionConfig = {}): ConnectionConfig {
  return {
    version: 2,
    local_addrs: [own.outer],
    remote_addrs: [other.outer],
    proposals: ['aes128-sha256-x25519'],
    encap: true,
    rekey_time: 0,
    local: { auth: 'psk', id: `${own.name}.test` },
    remote: { auth: 'psk', id: `${other.name}.test` },
    children: {
      [CHILD_NAME]: {
        local_ts: [own.innerNet],
        remote_ts: [other.innerNet],
        esp_proposals: ['aes128gcm16'],
        rekey_time: 0,
      },
    },
    ...more,
  };
}

/** Loads the tunnel at both ends, over VICI alone. */
export async function loadViciTunnel({ left, right, vici, peer }: ViciPair): Promise<void> {
  for (const [client, own, other] of [
    [vici, left, right],
    [peer, right, left],
  ] as const) {
    const secret = { id: 'psk', type: 'IKE', data: 'a secret of the lab' } as const;
    assert.deepEqual(await client.loadShared(secret), { kind: 'done' });
    assert.deepEqual(await client.loadConn(IKE_NAME, connectionConfig(own, other)), { kind: 'done' });
  }
}
