import { createCipheriv, createHmac } from 'node:crypto';
import { type Address, addressBytes } from '../../src/dataplane/address.ts';

/** RFC 4303 ESP written a second time, over node:crypto: what the addon is compared with. */
export type ReferenceSa = {
  readonly spi: number;
  readonly encryption: number;
  readonly encryptionKey: Buffer;
  readonly integrity: number;
  readonly integrityKey: Buffer;
};

export type ReferencePacket = {
  readonly sequence: number;
  /** 8 bytes for GCM, 16 for CBC. */
  readonly iv: Buffer;
  /** What is encrypted, trailer included. */
  readonly text: Buffer;
};

const GCM = 20;

/** The trailer of RFC 4303, 2.4 to 2.6, behind a payload: padding up to a multiple of `align`. */
export function withTrailer(payload: Buffer, align: number, nextHeader = 4): Buffer {
  const padding = (align - ((payload.length + 2) % align)) % align;
  return Buffer.concat([
    payload,
    Buffer.from(Array.from({ length: padding }, (_, i) => i + 1)),
    Buffer.of(padding, nextHeader),
  ]);
}

export function alignmentOf(sa: ReferenceSa): number {
  return sa.encryption === GCM ? 4 : 16;
}

/** SPI to ICV. */
export function sealReference(sa: ReferenceSa, packet: ReferencePacket): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(sa.spi, 0);
  header.writeUInt32BE(packet.sequence, 4);
  if (sa.encryption === GCM) {
    const key = sa.encryptionKey.subarray(0, -4);
    const nonce = Buffer.concat([sa.encryptionKey.subarray(-4), packet.iv]);
    const cipher = createCipheriv(key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce);
    cipher.setAAD(header);
    const text = Buffer.concat([cipher.update(packet.text), cipher.final()]);
    return Buffer.concat([header, packet.iv, text, cipher.getAuthTag()]);
  }
  const cipher = createCipheriv(
    sa.encryptionKey.length === 16 ? 'aes-128-cbc' : 'aes-256-cbc',
    sa.encryptionKey,
    packet.iv,
  );
  cipher.setAutoPadding(false);
  const covered = Buffer.concat([header, packet.iv, cipher.update(packet.text), cipher.final()]);
  const [digest, icvBytes] = sa.integrity === 2 ? ['sha1', 12] : ['sha256', 16];
  const icv = createHmac(String(digest), sa.integrityKey)
    .update(covered)
    .digest()
    .subarray(0, Number(icvBytes));
  return Buffer.concat([covered, icv]);
}

/** Ones' complement checksum of RFC 1071, one word at a time. */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 1) sum += (bytes[i] ?? 0) * (i % 2 === 0 ? 256 : 1);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}

export type Ipv4Fields = {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly payload: Buffer;
  readonly tos?: number;
  readonly id?: number;
  readonly fragment?: number;
};

export const DF = 0x4000;

export function ipv4(fields: Ipv4Fields): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header[1] = fields.tos ?? 0;
  header.writeUInt16BE(20 + fields.payload.length, 2);
  header.writeUInt16BE(fields.id ?? 0, 4);
  header.writeUInt16BE(fields.fragment ?? 0, 6);
  header[8] = 64;
  header[9] = fields.protocol;
  addressBytes(fields.source).copy(header, 12);
  addressBytes(fields.destination).copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, fields.payload]);
}

export function udp(sourcePort: number, destinationPort: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([header, payload]);
}
