import ipaddr from 'ipaddr.js';
import type { IpAddress } from './security-association.ts';

const DOTTED_DECIMAL = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** Of dotted decimal only: ipaddr.js also takes octal, hex and short forms, and is slower. */
function ipv4Bytes(address: IpAddress): Uint8Array | undefined {
  const octets = DOTTED_DECIMAL.exec(address)?.slice(1).map(Number);
  return octets?.every((octet) => octet <= 255) ? Uint8Array.from(octets) : undefined;
}

/** The 4 or 16 bytes of an address. */
export function addressBytes(address: IpAddress): Uint8Array {
  const ipv4 = ipv4Bytes(address);
  if (ipv4 !== undefined) return ipv4;
  if (!isIpv6(address) || !ipaddr.isValid(address)) throw new RangeError(`"${address}" is not an IP address`);
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}

/** Canonical text: dotted decimal, or RFC 5952 for IPv6. */
export function formatAddress(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`);
  return new ipaddr.IPv6([...bytes]).toRFC5952String();
}

export function isIpv6(address: IpAddress): boolean {
  return address.includes(':');
}
