import type {
  IpAddress as ProtoIpAddress,
  Mark as ProtoMark,
  TrafficSelector as ProtoSelector,
  UdpEncapsulation as ProtoUdpEncapsulation,
} from '../proto/index.ts';
import type { IpAddress, Mark, TrafficSelector, UdpEncapsulation } from '../sad/index.ts';
import { addressBytes, formatAddress } from '../util/index.ts';
import { malformed, required } from './malformed.ts';

export function encodeAddress(address: IpAddress): ProtoIpAddress {
  return { value: Buffer.from(addressBytes(address)) };
}

export function decodeAddress(address: ProtoIpAddress | undefined): IpAddress {
  const { value } = required(address, 'address');
  if (value.length !== 4 && value.length !== 16) throw malformed(`an address of ${value.length} bytes`);
  return formatAddress(value);
}

export function encodeSelector({
  firstAddress,
  lastAddress,
  protocol,
  ports,
}: TrafficSelector): ProtoSelector {
  return {
    addresses: { first: encodeAddress(firstAddress), last: encodeAddress(lastAddress) },
    ports: { first: ports.first, last: ports.last },
    protocol,
  };
}

export function decodeSelector(selector: ProtoSelector | undefined): TrafficSelector {
  const { addresses, ports, protocol } = required(selector, 'traffic selector');
  const { first, last } = required(ports, 'ports of a traffic selector');
  return {
    firstAddress: decodeAddress(addresses?.first),
    lastAddress: decodeAddress(addresses?.last),
    protocol,
    ports: { first, last },
  };
}

export function encodeMark(mark: Mark | undefined): ProtoMark | undefined {
  return mark === undefined ? undefined : { value: mark.value, mask: mark.mask };
}

export function decodeMark(mark: ProtoMark | undefined): Mark | undefined {
  return mark === undefined ? undefined : { value: mark.value, mask: mark.mask };
}

export function encodeEncapsulation(udp: UdpEncapsulation | undefined): ProtoUdpEncapsulation | undefined {
  return udp === undefined ? undefined : { sourcePort: udp.sourcePort, destinationPort: udp.destinationPort };
}

export function decodeEncapsulation(udp: ProtoUdpEncapsulation | undefined): UdpEncapsulation | undefined {
  return udp === undefined ? undefined : { sourcePort: udp.sourcePort, destinationPort: udp.destinationPort };
}

/** Absent is empty on the wire. */
export function encodeBytes(bytes: Uint8Array | undefined): Buffer {
  return bytes === undefined ? Buffer.alloc(0) : Buffer.from(bytes);
}

export function decodeBytes(bytes: Buffer): Uint8Array | undefined {
  return bytes.length === 0 ? undefined : Uint8Array.from(bytes);
}
