import type { Row } from './row.ts';

/** Who is at the other end. */
export type PeerName = 'kernel' | 'libipsec' | 'lagopus';

export const PEER_NAMES: readonly PeerName[] = ['kernel', 'libipsec', 'lagopus'];

/**
 * Why no cell can exist for this row with this peer, whatever our end does; undefined when one can. Such
 * rows are not tried.
 */
export function whyImpossible(row: Row, peer: PeerName): string | undefined {
  const { algorithm, encapsulation } = row;
  if (algorithm.protocol === 'ah') {
    if (encapsulation === 'udp') return 'AH: has no UDP encapsulation (RFC 3948 is for ESP)';
    if (algorithm.proposal.endsWith('gmac')) return 'charon 5.9.8: has no keyword for AES-GMAC in AH';
  }
  return peer === 'libipsec' ? whyNotLibipsec(row) : undefined;
}

function whyNotLibipsec({ algorithm, mode, encapsulation, esn }: Row): string | undefined {
  if (algorithm.protocol === 'ah') return 'kernel-libipsec: no AH';
  if (mode === 'transport') return 'kernel-libipsec: no transport mode';
  if (encapsulation === 'plain') return 'kernel-libipsec: only with UDP encapsulation';
  if (esn) return 'kernel-libipsec: no ESN';
  if (algorithm.proposal.endsWith('gmac')) return 'kernel-libipsec: no AES-GMAC';
  return undefined;
}
