import type { IpAddress, SecretBytes } from '../util/index.ts';
import type { TrafficSelector } from './selector.ts';

declare const brand: unique symbol;

/** A Security Parameters Index in host order, 256 .. 2^32-1 (RFC 4303, 2.1). */
export type Spi = number & { readonly [brand]: 'Spi' };

/** What identifies an SA as one string; made by `saKey` only. */
export type SaKey = string & { readonly [brand]: 'SaKey' };

/** charon's id of a set of policies and their SAs. Recycled at once: never a key by itself. */
export type ReqId = number & { readonly [brand]: 'ReqId' };

export type { IpAddress };

export type Direction = 'inbound' | 'outbound';
export type IpsecProtocol = 'esp' | 'ah';
export type IpsecMode = 'transport' | 'tunnel' | 'beet';

/** `value` under `mask`, as in Linux' skb mark. */
export type Mark = { readonly value: number; readonly mask: number };

export type SaId = {
  readonly direction: Direction;
  readonly protocol: IpsecProtocol;
  readonly spi: Spi;
  /** Outer destination. */
  readonly destination: IpAddress;
  readonly mark?: Mark | undefined;
  readonly ifId?: number | undefined;
};

export type UdpEncapsulation = { readonly sourcePort: number; readonly destinationPort: number };

/** Limits of one SA; undefined is no limit. Seconds count from installation. */
export type Lifetime = {
  readonly seconds?: bigint | undefined;
  readonly bytes?: bigint | undefined;
  readonly packets?: bigint | undefined;
};

/** An IANA transform id with its key. For AES-GCM the salt follows the key (RFC 4106, 8.1). */
export type KeyedTransform = { readonly id: number; readonly key: SecretBytes };

export type DscpCopy = 'out-only' | 'in-only' | 'yes' | 'no';

/** A Security Association in one direction, as charon negotiated it (RFC 4301, 4.4.2.1). */
export type SecurityAssociation = {
  readonly id: SaId;
  /** Outer source. */
  readonly source: IpAddress;
  readonly mode: IpsecMode;
  readonly reqid: ReqId;
  /** IKEv2 transform type 1; undefined for AH. */
  readonly encryption: KeyedTransform | undefined;
  /** IKEv2 transform type 3; undefined with an AEAD. */
  readonly integrity: KeyedTransform | undefined;
  readonly udpEncapsulation: UdpEncapsulation | undefined;
  /** Packets; 0 is off. */
  readonly replayWindow: number;
  readonly esn: boolean;
  readonly sourceSelectors: readonly TrafficSelector[];
  readonly destinationSelectors: readonly TrafficSelector[];
  readonly softLifetime: Lifetime;
  readonly hardLifetime: Lifetime;
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: DscpCopy;
  /** Bytes to pad to (RFC 4303, 2.7); 0 none, 2^32-1 the path MTU. */
  readonly tfc: number;
  /** IPComp transform, 0 none. */
  readonly ipcomp: number;
  /** Outbound: the mark of what it sends; inbound: of what comes out of it. */
  readonly setMark?: Mark | undefined;
  /** The routing domain of the packets inside; undefined is the default one. */
  readonly innerVrf?: string | undefined;
  readonly interface?: string | undefined;
  readonly label?: Uint8Array | undefined;
  readonly cpu?: number | undefined;
  readonly hwOffload: boolean;
};

/** Checks the range of an SPI. */
export function toSpi(value: number): Spi {
  if (!Number.isInteger(value) || value < 256 || value > 0xffffffff) {
    throw new RangeError(`SPI ${value} is not in 256..2^32-1`);
  }
  return value as Spi;
}

/** Checks the range of a reqid. */
export function toReqId(value: number): ReqId {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new RangeError(`reqid ${value} is not a 32-bit number`);
  }
  return value as ReqId;
}

/** An SPI as swanctl prints it, without the prefix: c0a80001. */
export function formatSpi(spi: Spi): string {
  return spi.toString(16).padStart(8, '0');
}

export function saKey(id: SaId): SaKey {
  const mark = id.mark === undefined ? '' : ` mark ${id.mark.value}/${id.mark.mask}`;
  const ifId = id.ifId === undefined ? '' : ` if_id ${id.ifId}`;
  return `${id.direction} ${id.protocol} ${formatSpi(id.spi)} ${id.destination}${mark}${ifId}` as SaKey;
}

/** The SPI in what `saKey` made; undefined for any other text, such as a policy's key. */
export function spiOfKey(key: string): Spi | undefined {
  const spi = /^(?:inbound|outbound) (?:esp|ah) ([0-9a-f]{8}) /.exec(key)?.[1];
  return spi === undefined ? undefined : toSpi(Number.parseInt(spi, 16));
}
