import type { IpPacket } from './ip-packet.ts';

/** An ESP or AH packet as it was seen between the gateways. */
export type IpsecPacket = {
  readonly protocol: 'esp' | 'ah';
  readonly encapsulation: 'plain' | 'udp';
  readonly spi: number;
  readonly sequence: number;
  /** ESP: from the SPI to the ICV. AH: from its header on. */
  readonly bytes: Buffer;
};

const UDP = 17;
const ESP = 50;
const AH = 51;
const NAT_T_PORT = 4500;
const UDP_HEADER_BYTES = 8;
/** SPI and sequence number; in AH four bytes more come first. */
const ESP_HEADER_BYTES = 8;
const AH_FIXED_BYTES = 12;

/** Undefined for anything else: IKE, keepalives, neighbour discovery. */
export function readIpsecPacket({ protocol, payload }: IpPacket): IpsecPacket | undefined {
  switch (protocol) {
    case ESP:
      return readEsp(payload, 'plain');
    case AH:
      return payload.length < AH_FIXED_BYTES
        ? undefined
        : {
            ...{ protocol: 'ah', encapsulation: 'plain', bytes: payload },
            ...{ spi: payload.readUInt32BE(4), sequence: payload.readUInt32BE(8) },
          };
    case UDP: {
      if (payload.length < UDP_HEADER_BYTES + ESP_HEADER_BYTES) return undefined;
      const isNatT = payload.readUInt16BE(0) === NAT_T_PORT && payload.readUInt16BE(2) === NAT_T_PORT;
      const esp = payload.subarray(UDP_HEADER_BYTES);
      // IKE has four zeros where ESP has its SPI.
      return isNatT && esp.readUInt32BE(0) !== 0 ? readEsp(esp, 'udp') : undefined;
    }
    default:
      return undefined;
  }
}

function readEsp(bytes: Buffer, encapsulation: 'plain' | 'udp'): IpsecPacket | undefined {
  if (bytes.length < ESP_HEADER_BYTES) return undefined;
  return {
    ...{ protocol: 'esp', encapsulation, bytes },
    ...{ spi: bytes.readUInt32BE(0), sequence: bytes.readUInt32BE(4) },
  };
}
