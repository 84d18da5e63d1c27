import { readdir } from 'node:fs/promises';
import { command } from '../support/index.ts';
import type { PeerName } from './impossible.ts';

/** What the peers are, on the machine that the page is written on. */
export async function peerNames(): Promise<Readonly<Record<PeerName, string>>> {
  const [kernels, { stdout }] = await Promise.all([
    readdir('/usr/lib/uml/modules'),
    command(['dpkg-query', '-W', 'charon-systemd']),
  ]);
  // Name, tab, version.
  const strongswan = stdout.trim().split('\t')[1];
  return {
    kernel: `Linux's kernel (${kernels.sort().at(-1)}, User-mode Linux)`,
    libipsec: `strongSwan's kernel-libipsec (${strongswan})`,
    lagopus: 'another gateway like this',
  };
}
