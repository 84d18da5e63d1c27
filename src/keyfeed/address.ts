import { AgentError, addressBytes, formatAddress, formatIpv4 } from '../util/index.ts';
import type { ByteReader } from './byte-reader.ts';

/** Reads a family byte: how many bytes its addresses have. */
export function decodeFamily(reader: ByteReader): 4 | 16 {
  const family = reader.u8();
  if (family === 4) return 4;
  if (family === 6) return 16;
  throw reader.malformed(`address family ${family} is neither 4 nor 6`);
}

/** The next 4 or 16 bytes as canonical text (RFC 5952 for IPv6). */
export function decodeAddress(reader: ByteReader, lengthBytes: 4 | 16): string {
  return lengthBytes === 4 ? formatIpv4(reader.u32()) : formatAddress(reader.bytes(16));
}

/** Text as 4 or 16 bytes; throws `invalid-input` when it is no address. */
export function encodeAddress(address: string): Uint8Array {
  try {
    return addressBytes(address);
  } catch (cause) {
    throw new AgentError(`"${address}" is not an IP address`, { code: 'invalid-input', cause });
  }
}
