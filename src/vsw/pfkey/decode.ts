import { MalformedError, SecretBytes } from '../../util/index.ts';
import { AF_INET, ExtensionType, HEADER_BYTES, PF_KEY_V2, UNIT_BYTES } from './constants.ts';
import type { PfkeyAlgorithm, PfkeyLifetime, PfkeyMessage } from './message.ts';

type Fields = { -readonly [Key in keyof PfkeyMessage]?: PfkeyMessage[Key] };

type Extension = { readonly type: number; readonly bytes: Buffer; readonly offset: number };

function* extensionsOf(message: Buffer): Generator<Extension, void, undefined> {
  let offset = HEADER_BYTES;
  while (offset < message.length) {
    const lengthBytes = message.readUInt16LE(offset) * UNIT_BYTES;
    if (lengthBytes === 0 || offset + lengthBytes > message.length) {
      throw new MalformedError(`PF_KEY: an extension of ${lengthBytes} bytes`, offset);
    }
    const type = message.readUInt16LE(offset + 2);
    yield { type, bytes: message.subarray(offset, offset + lengthBytes), offset };
    offset += lengthBytes;
  }
}

function need({ bytes, type, offset }: Extension, lengthBytes: number): Buffer {
  if (bytes.length >= lengthBytes) return bytes;
  throw new MalformedError(
    `PF_KEY: extension ${type} has ${bytes.length} bytes, expected ${lengthBytes}`,
    offset,
  );
}

function decodeSa(extension: Extension): NonNullable<PfkeyMessage['sa']> {
  const bytes = need(extension, 16);
  return {
    spi: bytes.readUInt32BE(4),
    state: bytes.readUInt8(9),
    auth: bytes.readUInt8(10),
    encrypt: bytes.readUInt8(11),
  };
}

function decodeLifetime(extension: Extension): PfkeyLifetime {
  const bytes = need(extension, 32);
  return {
    allocations: bytes.readUInt32LE(4),
    bytes: bytes.readBigUInt64LE(8),
    addSeconds: bytes.readBigUInt64LE(16),
    useSeconds: bytes.readBigUInt64LE(24),
  };
}

function decodeAddress(extension: Extension): NonNullable<PfkeyMessage['source']> {
  const bytes = need(extension, 24);
  if (bytes.readUInt16LE(8) !== AF_INET) {
    throw new MalformedError(
      `PF_KEY: address family ${bytes.readUInt16LE(8)}, expected IPv4`,
      extension.offset,
    );
  }
  return {
    protocol: bytes.readUInt8(4),
    prefixLength: bytes.readUInt8(5),
    port: bytes.readUInt16BE(10),
    address: bytes.readUInt32BE(12),
  };
}

/** Leaves nothing of the key in the message. */
function decodeKey(extension: Extension): SecretBytes {
  const bytes = need(extension, 8);
  const lengthBytes = bytes.readUInt16LE(4) / 8;
  if (!Number.isInteger(lengthBytes) || 8 + lengthBytes > bytes.length) {
    throw new MalformedError(`PF_KEY: a key of ${lengthBytes * 8} bits`, extension.offset);
  }
  const plain = bytes.subarray(8, 8 + lengthBytes);
  const key = new SecretBytes(plain);
  plain.fill(0);
  return key;
}

function decodePolicy(extension: Extension): NonNullable<PfkeyMessage['policy']> {
  const bytes = need(extension, 16);
  return {
    type: bytes.readUInt16LE(4),
    direction: bytes.readUInt8(6),
    id: bytes.readUInt32LE(8),
    priority: bytes.readUInt32LE(12),
  };
}

function decodeAlgorithms({ bytes }: Extension): readonly PfkeyAlgorithm[] {
  const algorithms: PfkeyAlgorithm[] = [];
  for (let offset = 8; offset + 8 <= bytes.length; offset += 8) {
    algorithms.push({
      id: bytes.readUInt8(offset),
      ivBytes: bytes.readUInt8(offset + 1),
      minBits: bytes.readUInt16LE(offset + 2),
      maxBits: bytes.readUInt16LE(offset + 4),
    });
  }
  return algorithms;
}

function decodeExtension(extension: Extension, into: Fields): void {
  switch (extension.type) {
    case ExtensionType.sa:
      into.sa = decodeSa(extension);
      return;
    case ExtensionType.lifetimeCurrent:
      into.current = decodeLifetime(extension);
      return;
    case ExtensionType.lifetimeHard:
      into.hard = decodeLifetime(extension);
      return;
    case ExtensionType.lifetimeSoft:
      into.soft = decodeLifetime(extension);
      return;
    case ExtensionType.addressSource:
      into.source = decodeAddress(extension);
      return;
    case ExtensionType.addressDestination:
      into.destination = decodeAddress(extension);
      return;
    case ExtensionType.keyEncrypt:
      into.encryptionKey = decodeKey(extension);
      return;
    case ExtensionType.keyAuth:
      into.integrityKey = decodeKey(extension);
      return;
    case ExtensionType.policy:
      into.policy = decodePolicy(extension);
      return;
    case ExtensionType.supportedAuth:
      into.auth = decodeAlgorithms(extension);
      return;
    case ExtensionType.supportedEncrypt:
      into.encrypt = decodeAlgorithms(extension);
      return;
    default:
    // NAT traversal's come back as they were sent; nothing else is of use here.
  }
}

/**
 * Decodes one message and wipes the keys in it.
 * @throws MalformedError
 */
export function decodeMessage(message: Buffer): PfkeyMessage {
  if (message.length < HEADER_BYTES) throw new MalformedError('PF_KEY: a message without a header', 0);
  const lengthBytes = message.readUInt16LE(4) * UNIT_BYTES;
  if (message.readUInt8(0) !== PF_KEY_V2 || lengthBytes !== message.length) {
    throw new MalformedError(
      `PF_KEY: version ${message.readUInt8(0)} and ${lengthBytes} bytes in a message of ${message.length}`,
      0,
    );
  }
  const fields: Fields = {};
  for (const extension of extensionsOf(message)) decodeExtension(extension, fields);
  return {
    ...fields,
    type: message.readUInt8(1),
    errno: message.readUInt8(2),
    sequence: message.readUInt32LE(8),
    pid: message.readUInt32LE(12),
  };
}
