import { type Address, addressBytes } from '../../src/dataplane/address.ts';
import { checksum } from './esp-reference.ts';

export type Ipv6Fields = {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly payload: Buffer;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly hopLimit?: number;
};

/** An IPv6 packet (RFC 8200, 3); extension headers are part of the payload. */
export function ipv6(fields: Ipv6Fields): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE((0x60000000 | ((fields.trafficClass ?? 0) << 20) | (fields.flowLabel ?? 0)) >>> 0, 0);
  header.writeUInt16BE(fields.payload.length, 4);
  header[6] = fields.protocol;
  header[7] = fields.hopLimit ?? 64;
  addressBytes(fields.source).copy(header, 8);
  addressBytes(fields.destination).copy(header, 24);
  return Buffer.concat([header, fields.payload]);
}

/** A hop-by-hop or destination options header around options of any length. */
export function optionsHeader(nextHeader: number, options: Buffer): Buffer {
  const padded = Buffer.alloc(Math.ceil((options.length + 2) / 8) * 8);
  padded[0] = nextHeader;
  padded[1] = padded.length / 8 - 1;
  options.copy(padded, 2);
  return padded;
}

/** A UDP datagram's checksum is right when this is 0: over the pseudo header of either family. */
export function pseudoChecksum(packet: Buffer, upper: number, protocol: number): number {
  const isIpv6 = (packet[0] ?? 0) >> 4 === 6;
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(packet.length - upper, 0);
  tail[7] = protocol;
  const addresses = isIpv6 ? packet.subarray(8, 40) : packet.subarray(12, 20);
  return checksum(Buffer.concat([addresses, tail, packet.subarray(upper)]));
}
