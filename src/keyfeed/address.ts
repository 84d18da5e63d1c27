import ipaddr from 'ipaddr.js';
import { AgentError } from '../util/index.ts';
import type { ByteReader } from './byte-reader.ts';

/** Reads a family byte: how many bytes its addresses have. */
export function decodeFamily(reader: ByteReader): 4 | 16 {
  const family = reader.u8();
  if (family === 4) return 4;
  if (family === 6) return 16;
  throw reader.malformed(`address family ${family} is neither 4 nor 6`);
}

/** 4 or 16 bytes as canonical text (RFC 5952 for IPv6). */
export function decodeAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  return new ipaddr.IPv6([...bytes]).toRFC5952String();
}

/** Text as 4 or 16 bytes; throws `invalid-input` when it is no address. */
export function encodeAddress(address: string): Uint8Array {
  if (!ipaddr.isValid(address)) {
    throw new AgentError(`"${address}" is not an IP address`, { code: 'invalid-input' });
  }
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}
