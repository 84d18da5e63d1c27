import type { ObservedSelector, PortRange } from '../sad/index.ts';
import { addressBytes, formatAddress } from '../util/index.ts';

/** Names that charon takes from /etc/protocols. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  ...{ icmp: 1, ipencap: 4, tcp: 6, udp: 17, dccp: 33, ipv6: 41, gre: 47, esp: 50, ah: 51 },
  ...{ 'ipv6-icmp': 58, ospf: 89, pim: 103, l2tp: 115, sctp: 132, udplite: 136 },
};

const ANY_PORT: PortRange = { first: 0, last: 65_535 };

function edge(network: Uint8Array, prefixLength: number, hostBit: 0 | 1): string {
  const bytes = network.map((byte, index) => {
    const hostBits = Math.min(8, Math.max(0, (index + 1) * 8 - prefixLength));
    const hostMask = 2 ** hostBits - 1;
    return hostBit === 1 ? byte | hostMask : byte & ~hostMask;
  });
  return formatAddress(bytes);
}

function parseAddresses(
  text: string,
): { readonly firstAddress: string; readonly lastAddress: string } | undefined {
  try {
    const [first = '', last] = text.split('..');
    if (last !== undefined) {
      return {
        firstAddress: formatAddress(addressBytes(first)),
        lastAddress: formatAddress(addressBytes(last)),
      };
    }
    const [address = '', digits] = text.split('/');
    const bytes = addressBytes(address);
    const prefixLength = digits === undefined ? bytes.length * 8 : Number(digits);
    if (!Number.isInteger(prefixLength) || prefixLength > bytes.length * 8) return undefined;
    return { firstAddress: edge(bytes, prefixLength, 0), lastAddress: edge(bytes, prefixLength, 1) };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function parseProtocol(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : PROTOCOLS[text];
}

/** Undefined for a service's name, whose number differs from machine to machine. */
function parsePorts(text: string): PortRange | undefined {
  const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  return first === undefined ? undefined : { first: Number(first), last: Number(last ?? first) };
}

/**
 * Reads a traffic selector as charon prints it: 198.19.1.0/24, 198.19.1.5..198.19.1.9,
 * 198.19.1.1/32[tcp/443]. Undefined when it is none of these, such as `dynamic`.
 */
export function parseViciSelector(text: string): ObservedSelector | undefined {
  const [, addressText = '', limits] = /^([^[\]]+)(?:\[(.*)\])?$/.exec(text) ?? [];
  const addresses = parseAddresses(addressText);
  if (addresses === undefined) return undefined;
  if (limits === undefined) return { ...addresses, protocol: 0, ports: ANY_PORT };
  const [protocolText = '', portText] = limits.split('/');
  const protocol = parseProtocol(protocolText);
  const isIcmp = protocol === PROTOCOLS.icmp || protocol === PROTOCOLS['ipv6-icmp'];
  if (portText === undefined) return { ...addresses, protocol, ports: ANY_PORT };
  return { ...addresses, protocol, ports: isIcmp ? undefined : parsePorts(portText) };
}
