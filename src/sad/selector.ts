import type { IpAddress } from './security-association.ts';

/** Inclusive. `first` > `last` means OPAQUE (RFC 7296, 3.13.1). */
export type PortRange = { readonly first: number; readonly last: number };

/** One side of a selector (RFC 4301, 4.4.1.1): a range of addresses of one family. */
export type TrafficSelector = {
  readonly firstAddress: IpAddress;
  readonly lastAddress: IpAddress;
  /** IP protocol, 0 is any. */
  readonly protocol: number;
  /** For ICMP: type in the upper, code in the lower byte. */
  readonly ports: PortRange;
};

/** A selector as one string. */
export function selectorKey({ firstAddress, lastAddress, protocol, ports }: TrafficSelector): string {
  return `${firstAddress}-${lastAddress}/${protocol}/${ports.first}-${ports.last}`;
}

export function isSameSelector(a: TrafficSelector, b: TrafficSelector): boolean {
  return (
    a.firstAddress === b.firstAddress &&
    a.lastAddress === b.lastAddress &&
    a.protocol === b.protocol &&
    a.ports.first === b.ports.first &&
    a.ports.last === b.ports.last
  );
}
