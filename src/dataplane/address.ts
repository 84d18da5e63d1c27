import ipaddr from 'ipaddr.js';
import { type IpAddress, ResultCode } from '../proto/index.ts';
import { Refusal } from '../server/index.ts';

/**
 * An address of either family as a number of 128 bits. An IPv4 address is the IPv4-mapped IPv6 one
 * (RFC 4291, 2.5.5.2), which is refused as an IPv6 address: no packet carries it.
 */
export type Address = bigint;

export type Family = 4 | 6;

const IPV4_BITS = 32n;
const IPV4_PREFIX = 0xffffn;

export function familyOf(address: Address): Family {
  return address >> IPV4_BITS === IPV4_PREFIX ? 4 : 6;
}

/** Of an IPv4 address in host order. */
export function mappedIpv4(ipv4: number): Address {
  return (IPV4_PREFIX << IPV4_BITS) | BigInt(ipv4);
}

function ofBytes(bytes: Uint8Array): Address {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return mappedIpv4(view.readUInt32BE());
  return (view.readBigUInt64BE() << 64n) | view.readBigUInt64BE(8);
}

/** @throws Refusal for anything but 4 bytes, or 16 that are an IPv6 address. */
export function parseAddress(address: IpAddress | undefined, what: string): Address {
  const bytes = address?.value;
  if (bytes?.length !== 4 && bytes?.length !== 16) {
    throw new Refusal(
      ResultCode.RESULT_CODE_INVALID,
      `${what}: expected an address of 4 or 16 bytes, got ${bytes?.length ?? 'none'}`,
    );
  }
  const value = ofBytes(bytes);
  if (bytes.length === 16 && familyOf(value) === 4) {
    throw new Refusal(
      ResultCode.RESULT_CODE_INVALID,
      `${what}: ${formatAddress(value)} as an IPv4-mapped IPv6 address is on no wire: give its 4 bytes`,
    );
  }
  return value;
}

/** fe80::/10; those of IPv4 are routed like others here. */
export function isLinkLocal(address: Address): boolean {
  return address >> 118n === 0xfe80n >> 6n;
}

export function addressBytes(address: Address): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64BE(address >> 64n);
  bytes.writeBigUInt64BE(address & 0xffffffffffffffffn, 8);
  return familyOf(address) === 4 ? bytes.subarray(12) : bytes;
}

export function encodeAddress(address: Address): IpAddress {
  return { value: addressBytes(address) };
}

/** Dotted decimal, or RFC 5952. */
export function formatAddress(address: Address): string {
  const bytes = addressBytes(address);
  return bytes.length === 4 ? bytes.join('.') : new ipaddr.IPv6([...bytes]).toRFC5952String();
}
