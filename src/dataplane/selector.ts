import { ResultCode, type TrafficSelector } from '../proto/index.ts';
import { Refusal } from '../server/index.ts';
import { type Ipv4, parseIpv4 } from './address.ts';

/** One side of a traffic selector (RFC 4301, 4.4.1.1); ranges are inclusive. */
export type Selector = {
  readonly first: Ipv4;
  readonly last: Ipv4;
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
  const first = parseIpv4(addresses?.first, `${what}: first address`);
  const last = parseIpv4(addresses?.last, `${what}: last address`);
  if (first > last) throw invalid('the first address is above the last');
  if (ports === undefined) throw invalid('no ports: 0 to 65535 is any');
  if (ports.first > MAX_PORT || ports.last > MAX_PORT) throw invalid('a port is above 65535');
  if (protocol > 255) throw invalid(`protocol ${protocol} is above 255`);
  return { first, last, firstPort: ports.first, lastPort: ports.last, protocol };
}

/** Where a packet is in selector space. For ICMP a port is type << 8 | code; -1 is none. */
export type PacketKey = {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
};

export function isAnyPort(selector: Selector): boolean {
  return selector.firstPort === 0 && selector.lastPort === MAX_PORT;
}

export function selectorMatches(selector: Selector, address: Ipv4, protocol: number, port: number): boolean {
  if (address < selector.first || address > selector.last) return false;
  if (selector.protocol !== 0 && selector.protocol !== protocol) return false;
  if (isAnyPort(selector)) return true;
  if (selector.firstPort > selector.lastPort) return port < 0;
  return port >= selector.firstPort && port <= selector.lastPort;
}
