/** An IP datagram, put together again when it came in fragments. */
export type IpPacket = {
  readonly source: string;
  readonly destination: string;
  /** What follows the IP header (IPv6: its extension headers too, AH left out). */
  readonly protocol: number;
  readonly payload: Buffer;
};

type Piece = IpPacket & {
  readonly id: string;
  readonly offset: number;
  readonly hasMore: boolean;
};

const IPV6_HEADER_BYTES = 40;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;

/** Reads IP datagrams in the order they came; those that are not complete are left out. */
export function readIpPackets(datagrams: readonly Buffer[]): readonly IpPacket[] {
  const pending = new Map<string, Piece[]>();
  return datagrams.flatMap((datagram) => {
    const piece = datagram.readUInt8(0) >> 4 === 4 ? readIpv4(datagram) : readIpv6(datagram);
    if (piece === undefined) return [];
    if (piece.offset === 0 && !piece.hasMore) return [piece];
    const key = `${piece.source} ${piece.destination} ${piece.protocol} ${piece.id}`;
    const pieces = [...(pending.get(key) ?? []), piece];
    const whole = join(pieces);
    if (whole === undefined) pending.set(key, pieces);
    else pending.delete(key);
    return whole === undefined ? [] : [whole];
  });
}

/** Undefined while pieces are missing. */
function join(pieces: readonly Piece[]): IpPacket | undefined {
  const sorted = pieces.toSorted((a, b) => a.offset - b.offset);
  let end = 0;
  for (const { offset, payload } of sorted) {
    if (offset !== end) return undefined;
    end += payload.length;
  }
  const [first] = sorted;
  if (first === undefined || sorted.at(-1)?.hasMore !== false) return undefined;
  return { ...first, payload: Buffer.concat(sorted.map(({ payload }) => payload)) };
}

function readIpv4(datagram: Buffer): Piece {
  const fragment = datagram.readUInt16BE(6);
  return {
    source: datagram.subarray(12, 16).join('.'),
    destination: datagram.subarray(16, 20).join('.'),
    protocol: datagram.readUInt8(9),
    // An Ethernet frame is padded to its least length.
    payload: datagram.subarray((datagram.readUInt8(0) & 0x0f) * 4, datagram.readUInt16BE(2)),
    id: String(datagram.readUInt16BE(4)),
    offset: (fragment & 0x1fff) * 8,
    hasMore: (fragment & 0x2000) !== 0,
  };
}

function readIpv6(datagram: Buffer): Piece | undefined {
  const end = IPV6_HEADER_BYTES + datagram.readUInt16BE(4);
  let next = datagram.readUInt8(6);
  let at = IPV6_HEADER_BYTES;
  let fragment = { id: '', offset: 0, hasMore: false };
  while (next === HOP_BY_HOP || next === ROUTING || next === FRAGMENT || next === DESTINATION_OPTIONS) {
    const header = datagram.subarray(at, end);
    if (header.length < 8) return undefined;
    if (next === FRAGMENT) {
      const word = header.readUInt16BE(2);
      fragment = {
        id: String(header.readUInt32BE(4)),
        offset: word & 0xfff8,
        hasMore: (word & 1) !== 0,
      };
    }
    at += next === FRAGMENT ? 8 : (header.readUInt8(1) + 1) * 8;
    next = header.readUInt8(0);
    // Behind a fragment's header begins a piece of something, not a header.
    if (fragment.offset > 0) break;
  }
  return {
    source: ipv6Text(datagram.subarray(8, 24)),
    destination: ipv6Text(datagram.subarray(24, 40)),
    protocol: next,
    payload: datagram.subarray(at, end),
    ...fragment,
  };
}

/** All eight groups: for telling addresses apart. */
function ipv6Text(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
}
