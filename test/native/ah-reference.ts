import { createHmac } from 'node:crypto';

/**
 * RFC 4302, 3.3.3, written a second time: what the ICV of a packet as it arrives covers. Immutable options are
 * those of appendix A1.
 */
const IMMUTABLE_OPTIONS = new Set([130, 133, 134, 148, 149]);

function muteIpv4(header: Buffer): Buffer {
  const muted = Buffer.from(header);
  for (const at of [1, 6, 7, 8, 10, 11]) muted[at] = 0;
  let at = 20;
  while (at < muted.length) {
    const type = muted[at] ?? 0;
    if (type === 0) break;
    if (type === 1) {
      at += 1;
      continue;
    }
    const length = muted[at + 1] ?? 0;
    if (!IMMUTABLE_OPTIONS.has(type)) muted.fill(0, at, at + length);
    at += length;
  }
  return muted;
}

function muteIpv6(header: Buffer): Buffer {
  const muted = Buffer.from(header);
  muted.writeUInt32BE(0x60000000, 0);
  muted[7] = 0;
  let type = muted[6] ?? 0;
  for (let at = 40; at < muted.length; ) {
    const end = at + ((muted[at + 1] ?? 0) + 1) * 8;
    if (type !== 43) {
      for (let option = at + 2; option < end; ) {
        const kind = muted[option] ?? 0;
        if (kind === 0) {
          option += 1;
          continue;
        }
        const next = option + 2 + (muted[option + 1] ?? 0);
        if ((kind & 0x20) !== 0) muted.fill(0, option + 2, next);
        option = next;
      }
    }
    type = muted[at] ?? 0;
    at = end;
  }
  return muted;
}

/** The HMAC-SHA2-256-128 of a packet whose AH begins at `at`, with its ICV field as it is in the packet. */
export function ahIcv(packet: Buffer, at: number, key: Uint8Array, highSequence?: number): Buffer {
  const isIpv6 = (packet[0] ?? 0) >> 4 === 6;
  const covered = Buffer.from(packet.subarray(at));
  covered.fill(0, 12, 28);
  const high = Buffer.alloc(highSequence === undefined ? 0 : 4);
  if (highSequence !== undefined) high.writeUInt32BE(highSequence);
  const header = packet.subarray(0, at);
  return createHmac('sha256', key)
    .update(isIpv6 ? muteIpv6(header) : muteIpv4(header))
    .update(covered)
    .update(high)
    .digest()
    .subarray(0, 16);
}

/** AH in front of a payload, with its ICV still to be filled in: 16 bytes, padded for the IP version. */
export function ahHeader(spi: number, sequence: number, nextHeader: number, isIpv6: boolean): Buffer {
  const header = Buffer.alloc(isIpv6 ? 32 : 28);
  header[0] = nextHeader;
  header[1] = header.length / 4 - 2;
  header.writeUInt32BE(spi, 4);
  header.writeUInt32BE(sequence, 8);
  return header;
}
