import { type IpAddress, ResultCode } from '../../proto/index.ts';
import { Refusal } from '../../server/index.ts';

/** An IPv4 address in host order; vsw's tunnels know no other. */
export type Ipv4 = number;

/** @throws Refusal for anything but 4 bytes. */
export function parseIpv4(address: IpAddress | undefined, what: string): Ipv4 {
  const bytes = Buffer.from(address?.value ?? []);
  if (bytes.length === 4) return bytes.readUInt32BE();
  if (bytes.length === 16) {
    throw new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_ADDRESS_FAMILY,
      `${what}: IPv6 is not supported by vsw's IPsec, only IPv4`,
    );
  }
  throw new Refusal(
    ResultCode.RESULT_CODE_INVALID,
    `${what}: expected an address of 4 bytes, got ${bytes.length === 0 ? 'none' : bytes.length}`,
  );
}

export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The length of the prefix that is exactly these addresses; undefined when there is none. */
export function prefixLengthOf(first: Ipv4, last: Ipv4): number | undefined {
  const size = last - first + 1;
  const hostBits = Math.log2(size);
  if (!Number.isInteger(hostBits) || first % size !== 0) return undefined;
  return 32 - hostBits;
}
