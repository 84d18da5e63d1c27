import ipaddr from 'ipaddr.js';

/** An IPv4 or IPv6 address in its canonical text form. */
export type IpAddress = string;

const DOT = 0x2e;
const ZERO = 0x30;

/**
 * Of dotted decimal only: ipaddr.js also takes octal, hex and short forms, and is slower. In one pass,
 * because every selector of every SA and policy comes through here.
 */
function ipv4Bytes(address: IpAddress): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let octets = 0;
  let value = 0;
  let digits = 0;
  for (let at = 0; at <= address.length; at += 1) {
    const code = at < address.length ? address.charCodeAt(at) : DOT;
    if (code === DOT) {
      if (digits === 0 || octets === 4) return undefined;
      bytes[octets] = value;
      octets += 1;
      value = 0;
      digits = 0;
      continue;
    }
    if (code < ZERO || code > ZERO + 9 || digits === 3) return undefined;
    value = value * 10 + code - ZERO;
    if (value > 255) return undefined;
    digits += 1;
  }
  return octets === 4 ? bytes : undefined;
}

/** The 4 or 16 bytes of an address. */
export function addressBytes(address: IpAddress): Uint8Array {
  const ipv4 = ipv4Bytes(address);
  if (ipv4 !== undefined) return ipv4;
  if (!isIpv6(address) || !ipaddr.isValid(address)) throw new RangeError(`"${address}" is not an IP address`);
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}

/** Dotted decimal of an address in host order. */
export function formatIpv4(address: number): IpAddress {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** Canonical text: dotted decimal, or RFC 5952 for IPv6. */
export function formatAddress(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  if (bytes.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`);
  return new ipaddr.IPv6([...bytes]).toRFC5952String();
}

export function isIpv6(address: IpAddress): boolean {
  return address.includes(':');
}
