import { ResultCode, type TrafficSelector } from '../proto/index.ts';
import { Refusal } from '../server/index.ts';
import { type Address, type Family, familyOf, parseAddress } from './address.ts';

/** One side of a traffic selector (RFC 4301, 4.4.1.1); ranges are inclusive. */
export type Selector = {
  readonly family: Family;
  readonly first: Address;
  readonly last: Address;
  /** `firstPort` > `lastPort` is OPAQUE. */
  readonly firstPort: number;
  readonly lastPort: number;
  /** 0 is any. */
  readonly protocol: number;
};

const MAX_PORT = 65535;

/** @throws Refusal */
export function parseSelector(selector: TrafficSelector | undefined, what: string): Selector {
  const invalid = (why: string): Refusal => new Refusal(ResultCode.RESULT_CODE_INVALID, `${what}: ${why}`);
  if (selector === undefined) throw invalid('missing');
  const { ports, protocol, addresses } = selector;
  const first = parseAddress(addresses?.first, `${what}: first address`);
  const last = parseAddress(addresses?.last, `${what}: last address`);
  const family = familyOf(first);
  if (family !== familyOf(last)) throw invalid('the addresses are of two families');
  if (first > last) throw invalid('the first address is above the last');
  if (ports === undefined) throw invalid('no ports: 0 to 65535 is any');
  if (ports.first > MAX_PORT || ports.last > MAX_PORT) throw invalid('a port is above 65535');
  if (protocol > 255) throw invalid(`protocol ${protocol} is above 255`);
  return { family, first, last, firstPort: ports.first, lastPort: ports.last, protocol };
}

/** Where a packet is in selector space. For ICMP a port is type << 8 | code; -1 is none. */
export type PacketKey = {
  readonly family: Family;
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
};

export function isAnyPort(selector: Selector): boolean {
  return selector.firstPort === 0 && selector.lastPort === MAX_PORT;
}

/** Of an address of the selector's family. */
export function selectorMatches(
  selector: Selector,
  address: Address,
  protocol: number,
  port: number,
): boolean {
  if (address < selector.first || address > selector.last) return false;
  if (selector.protocol !== 0 && selector.protocol !== protocol) return false;
  if (isAnyPort(selector)) return true;
  if (selector.firstPort > selector.lastPort) return port < 0;
  return port >= selector.firstPort && port <= selector.lastPort;
}

/** SELECTOR_WORDS of native/binding.h: family, first and last address, first and last port, protocol. */
export function flattenSelectors(selectors: readonly Selector[]): Uint32Array {
  return Uint32Array.from(
    selectors.flatMap((s) => [
      ...[s.family, ...addressWords(s.first), ...addressWords(s.last)],
      ...[s.firstPort, s.lastPort, s.protocol],
    ]),
  );
}

function addressWords(address: Address): readonly number[] {
  return [96n, 64n, 32n, 0n].map((shift) => Number((address >> shift) & 0xffffffffn));
}
