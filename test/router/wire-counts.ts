import type { IpPacket } from '../conformance/ip-packet.ts';
import { readIpsecPacket } from '../conformance/ipsec-packet.ts';
import { HOST, PEER, ROUTER } from './configuration.ts';
import type { WireCounts } from './verdict.ts';

const UDP = 17;
const IKE_PORTS: readonly number[] = [500, 4500];
const INNER_PREFIXES = [HOST, PEER.inner].map((address) => address.replace(/\d+$/, ''));

export function countWire(packets: readonly IpPacket[]): WireCounts {
  const counts = { esp: 0, repeated: 0, ike: 0, clear: 0, other: 0 };
  const seen = new Set<string>();
  for (const packet of packets) {
    const ipsec = isBetweenGateways(packet) ? readIpsecPacket(packet) : undefined;
    if (ipsec !== undefined) {
      const name = `${packet.destination} ${ipsec.spi} ${ipsec.sequence}`;
      counts.esp += 1;
      if (seen.has(name)) counts.repeated += 1;
      seen.add(name);
    } else if (isInner(packet.source) || isInner(packet.destination)) {
      counts.clear += 1;
    } else if (isIke(packet)) {
      counts.ike += 1;
    } else {
      counts.other += 1;
    }
  }
  return counts;
}

function isBetweenGateways({ source, destination }: IpPacket): boolean {
  const gateways: readonly string[] = [ROUTER.outer, PEER.outer];
  return gateways.includes(source) && gateways.includes(destination);
}

function isInner(address: string): boolean {
  return INNER_PREFIXES.some((prefix) => address.startsWith(prefix));
}

function isIke({ protocol, payload }: IpPacket): boolean {
  return protocol === UDP && payload.length >= 4 && IKE_PORTS.includes(payload.readUInt16BE(2));
}
