import { type IpAddress, ResultCode } from '../proto/index.ts';
import { Refusal } from '../server/index.ts';

/** An IPv4 address in host order. */
export type Ipv4 = number;

/** @throws Refusal for anything but 4 bytes. */
export function parseIpv4(address: IpAddress | undefined, what: string): Ipv4 {
  const bytes = address?.value;
  if (bytes?.length === 16) {
    throw new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_ADDRESS_FAMILY,
      `${what}: IPv6 is not supported, only IPv4`,
    );
  }
  const [a, b, c, d] = bytes ?? [];
  if (bytes?.length !== 4 || a === undefined || b === undefined || c === undefined || d === undefined) {
    throw new Refusal(
      ResultCode.RESULT_CODE_INVALID,
      `${what}: expected an address of 4 bytes, got ${bytes?.length ?? 'none'}`,
    );
  }
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

export function encodeIpv4(address: Ipv4): IpAddress {
  return { value: Buffer.of(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255) };
}

export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}
