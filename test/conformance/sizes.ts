import type { PeerName } from './impossible.ts';
import type { Row } from './row.ts';
import { expectedLength } from './wire-check.ts';

/** UDP payloads: none, one byte, up to the largest packets of the TUN device and beyond, to near 64 KiB. */
const SIZES: readonly number[] = [0, 1, 100, 1372, 1400, 8000, 65_000];

const LARGEST_SMALL_BYTES = 100;

/**
 * Linux up to this day takes what follows UDP over IPv6 for ESP only when it is no shorter than an IPv6
 * header (xfrm6_udp_encap_rcv compares a length without that header with one that includes it).
 */
const LINUX_LEAST_UDP_ESP_BYTES = 40;

/** The payloads sent for a row: all, but what the peer is known to drop. */
export function sizesFor(row: Row, peer: PeerName): readonly number[] {
  const isLinuxInUdp6 = peer === 'kernel' && row.outer === 6 && row.encapsulation === 'udp';
  return SIZES.filter((size) => !isLinuxInUdp6 || expectedLength(row, size) >= LINUX_LEAST_UDP_ESP_BYTES);
}

/** Those that are one packet in every family and encapsulation. */
export function smallSizesFor(row: Row, peer: PeerName): readonly number[] {
  return sizesFor(row, peer).filter((size) => size <= LARGEST_SMALL_BYTES);
}
