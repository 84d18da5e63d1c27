import { icvBytes } from './algorithm.ts';
import type { IpsecPacket } from './ipsec-packet.ts';
import type { Row } from './row.ts';

/** What was sent through a tunnel one way. */
export type Sent = {
  readonly spi: number;
  /** UDP payloads that fit into one packet everywhere. */
  readonly smallSizes: readonly number[];
};

const ESP_HEADER_BYTES = 8;
const AH_FIXED_BYTES = 12;
const UDP_HEADER_BYTES = 8;
/** Pad length and next header. */
const TRAILER_BYTES = 2;
/** The content of every payload: see test/support/datagram-echo.c. */
const CLEAR_TEXT = 'LAGOPUS-';

/**
 * What does not fit the row's algorithm in the packets of one SA; empty when everything does.
 *
 * Lengths tell IV, block and ICV: a packet is exactly as long as the RFCs say for each small payload, and
 * in steps of the block for all others.
 */
export function wireFaults(row: Row, packets: readonly IpsecPacket[], sent: Sent): readonly string[] {
  const own = packets.filter(({ spi }) => spi === sent.spi);
  if (own.length === 0) return [`no packet with SPI ${sent.spi.toString(16)} on the wire`];
  return [
    ...formFaults(row, own),
    ...sequenceFaults(own),
    ...(row.algorithm.protocol === 'esp' ? espFaults(row, own) : ahFaults(row, own)),
    ...lengthFaults(row, own, sent.smallSizes),
    ...textFaults(row, own),
  ];
}

function formFaults({ algorithm, encapsulation }: Row, packets: readonly IpsecPacket[]): readonly string[] {
  const other = packets.find(
    (packet) => packet.protocol !== algorithm.protocol || packet.encapsulation !== encapsulation,
  );
  return other === undefined ? [] : [`a packet is ${other.protocol}, ${other.encapsulation}`];
}

/** From 1 on, each number once (RFC 4303, 3.3.3). */
function sequenceFaults(packets: readonly IpsecPacket[]): readonly string[] {
  const wrong = packets.findIndex(({ sequence }, index) => sequence !== index + 1);
  return wrong < 0 ? [] : [`packet ${wrong + 1} has sequence number ${packets[wrong]?.sequence}`];
}

function espFaults({ algorithm }: Row, packets: readonly IpsecPacket[]): readonly string[] {
  const { ivBytes = 0, blockBytes = 1 } = algorithm.encryption ?? {};
  const align = Math.max(4, blockBytes);
  const overhead = ESP_HEADER_BYTES + ivBytes + icvBytes(algorithm);
  const odd = packets.find(({ bytes }) => (bytes.length - overhead) % align !== 0);
  const faults = odd === undefined ? [] : [`a packet of ${odd.bytes.length} bytes is not of whole blocks`];
  const ivs = packets.map(({ bytes }) => bytes.toString('hex', ESP_HEADER_BYTES, ESP_HEADER_BYTES + ivBytes));
  if (ivBytes > 0 && new Set(ivs).size !== ivs.length) faults.push('an IV was used twice');
  return faults;
}

function ahHeaderBytes({ algorithm, outer }: Row): number {
  const align = outer === 4 ? 4 : 8;
  return Math.ceil((AH_FIXED_BYTES + icvBytes(algorithm)) / align) * align;
}

function ahFaults(row: Row, packets: readonly IpsecPacket[]): readonly string[] {
  const bytes = ahHeaderBytes(row);
  // RFC 4302, 2.2: in words, less two.
  const other = packets.find((packet) => (packet.bytes.readUInt8(1) + 2) * 4 !== bytes);
  return other === undefined
    ? []
    : [`AH's payload length is ${other.bytes.readUInt8(1)}, for ${bytes} bytes`];
}

function lengthFaults(
  row: Row,
  packets: readonly IpsecPacket[],
  sizes: readonly number[],
): readonly string[] {
  const lengths = new Set(packets.map(({ bytes }) => bytes.length));
  return sizes
    .map((size) => ({ size, length: expectedLength(row, size) }))
    .filter(({ length }) => !lengths.has(length))
    .map(({ size, length }) => `no packet of ${length} bytes for ${size} bytes of payload`);
}

/** Of an ESP or AH packet with a UDP payload of this size inside. */
export function expectedLength(row: Row, payloadBytes: number): number {
  const { algorithm, mode, inner } = row;
  const innerHeader = mode === 'transport' ? 0 : inner === 4 ? 20 : 40;
  const text = innerHeader + UDP_HEADER_BYTES + payloadBytes;
  if (algorithm.protocol === 'ah') return ahHeaderBytes(row) + text;
  const { ivBytes = 0, blockBytes = 1 } = algorithm.encryption ?? {};
  const align = Math.max(4, blockBytes);
  const padded = Math.ceil((text + TRAILER_BYTES) / align) * align;
  return ESP_HEADER_BYTES + ivBytes + padded + icvBytes(algorithm);
}

/** The payload is readable where nothing encrypts it, and nowhere else. */
function textFaults({ algorithm }: Row, packets: readonly IpsecPacket[]): readonly string[] {
  const isReadable = packets.some(({ bytes }) => bytes.includes(CLEAR_TEXT));
  const isConfidential = algorithm.encryption?.isConfidential ?? false;
  if (isReadable && isConfidential) return ['the payload is on the wire in clear'];
  return isReadable || isConfidential
    ? []
    : ['the payload is not readable, though nothing should encrypt it'];
}
