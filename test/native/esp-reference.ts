import { type CipherCCM, type CipherChaCha20Poly1305, type CipherGCM, createCipheriv } from 'node:crypto';
import { type Address, addressBytes } from '../../src/dataplane/address.ts';
import { icvReference } from './mac-reference.ts';

/** RFC 4303 ESP written a second time, over node:crypto: what the addon is compared with. */
export type ReferenceSa = {
  readonly spi: number;
  readonly encryption: number;
  readonly encryptionKey: Buffer;
  readonly integrity: number;
  readonly integrityKey: Buffer;
  readonly isEsn?: boolean;
};

export type ReferencePacket = {
  /** The whole of it, with ESN. */
  readonly sequence: number | bigint;
  /** As long as ivBytesOf() says. */
  readonly iv: Buffer;
  /** What is encrypted, trailer included. */
  readonly text: Buffer;
};

type Cipher = {
  readonly name: (keyBits: number) => string;
  readonly saltBytes: number;
  readonly ivBytes: number;
  /** 0 for a cipher that needs an integrity algorithm. */
  readonly icvBytes: number;
  readonly align: number;
};

const counter = { ivBytes: 8, align: 4 } as const;
const gcm = (icvBytes: number): Cipher => ({
  ...counter,
  name: (bits) => `aes-${bits}-gcm`,
  saltBytes: 4,
  icvBytes,
});
const ccm = (icvBytes: number): Cipher => ({
  ...counter,
  name: (bits) => `aes-${bits}-ccm`,
  saltBytes: 3,
  icvBytes,
});
const GMAC = 21;
const CTR = 13;

const ciphers: Readonly<Record<number, Cipher>> = {
  3: { name: () => 'des-ede3-cbc', saltBytes: 0, ivBytes: 8, icvBytes: 0, align: 8 },
  11: { name: () => '', saltBytes: 0, ivBytes: 0, icvBytes: 0, align: 4 },
  12: { name: (bits) => `aes-${bits}-cbc`, saltBytes: 0, ivBytes: 16, icvBytes: 0, align: 16 },
  [CTR]: { ...counter, name: (bits) => `aes-${bits}-ctr`, saltBytes: 4, icvBytes: 0 },
  14: ccm(8),
  15: ccm(12),
  16: ccm(16),
  18: gcm(8),
  19: gcm(12),
  20: gcm(16),
  [GMAC]: gcm(16),
  28: { ...counter, name: () => 'chacha20-poly1305', saltBytes: 4, icvBytes: 16 },
};

function cipherOf({ encryption }: Pick<ReferenceSa, 'encryption'>): Cipher {
  const cipher = ciphers[encryption];
  if (cipher === undefined) throw new Error(`no reference for encryption algorithm ${encryption}`);
  return cipher;
}

/** The trailer of RFC 4303, 2.4 to 2.6, behind a payload: padding up to a multiple of `align`. */
export function withTrailer(payload: Buffer, align: number, nextHeader = 4): Buffer {
  const padding = (align - ((payload.length + 2) % align)) % align;
  return Buffer.concat([
    payload,
    Buffer.from(Array.from({ length: padding }, (_, i) => i + 1)),
    Buffer.of(padding, nextHeader),
  ]);
}

export function alignmentOf(sa: Pick<ReferenceSa, 'encryption'>): number {
  return cipherOf(sa).align;
}

export function ivBytesOf(sa: Pick<ReferenceSa, 'encryption'>): number {
  return cipherOf(sa).ivBytes;
}

/** Whether IVs are counters, made of sequence numbers. */
export function hasCounterIv(sa: Pick<ReferenceSa, 'encryption'>): boolean {
  return cipherOf(sa).ivBytes === 8 && cipherOf(sa).align === 4;
}

type AeadCipher = CipherGCM | CipherCCM | CipherChaCha20Poly1305;

function aeadCipher(name: string, key: Buffer, nonce: Buffer, authTagLength: number): AeadCipher {
  switch (name) {
    case 'aes-128-gcm':
    case 'aes-192-gcm':
    case 'aes-256-gcm':
      return createCipheriv(name, key, nonce, { authTagLength });
    case 'aes-128-ccm':
    case 'aes-192-ccm':
    case 'aes-256-ccm':
      return createCipheriv(name, key, nonce, { authTagLength });
    case 'chacha20-poly1305':
      return createCipheriv(name, key, nonce, { authTagLength });
    default:
      throw new Error(`${name} is no AEAD`);
  }
}

function sealAead(sa: ReferenceSa, aad: Buffer, { iv, text }: ReferencePacket): Buffer {
  const { name, saltBytes, icvBytes } = cipherOf(sa);
  const key = sa.encryptionKey.subarray(0, -saltBytes);
  const nonce = Buffer.concat([sa.encryptionKey.subarray(-saltBytes), iv]);
  const isGmac = sa.encryption === GMAC;
  const covered = isGmac ? Buffer.concat([aad, iv, text]) : aad;
  const plaintext = isGmac ? Buffer.alloc(0) : text;
  const cipher = aeadCipher(name(key.length * 8), key, nonce, icvBytes);
  cipher.setAAD(covered, { plaintextLength: plaintext.length });
  const encrypted = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([isGmac ? text : encrypted, cipher.getAuthTag()]);
}

function encrypt(sa: ReferenceSa, { iv, text }: ReferencePacket): Buffer {
  const { name, saltBytes } = cipherOf(sa);
  if (name(0) === '') return text;
  const key = sa.encryptionKey.subarray(0, sa.encryptionKey.length - saltBytes);
  const block =
    sa.encryption === CTR
      ? Buffer.concat([sa.encryptionKey.subarray(-saltBytes), iv, Buffer.of(0, 0, 0, 1)])
      : iv;
  const cipher = createCipheriv(name(key.length * 8), key, block);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(text), cipher.final()]);
}

/** SPI to ICV. */
export function sealReference(sa: ReferenceSa, packet: ReferencePacket): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(packet.sequence));
  const [high, low] = [number.subarray(0, 4), number.subarray(4)];
  const spi = Buffer.alloc(4);
  spi.writeUInt32BE(sa.spi);
  const header = Buffer.concat([spi, low]);
  if (cipherOf(sa).icvBytes > 0) {
    const aad = sa.isEsn === true ? Buffer.concat([spi, number]) : header;
    return Buffer.concat([header, packet.iv, sealAead(sa, aad, packet)]);
  }
  const covered = Buffer.concat([header, packet.iv, encrypt(sa, packet)]);
  const message = sa.isEsn === true ? Buffer.concat([covered, high]) : covered;
  return Buffer.concat([covered, icvReference(sa.integrity, sa.integrityKey, message)]);
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
