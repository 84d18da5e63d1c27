import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { tries } from '../support/tries.ts';
import { INNER_LEFT, INNER_RIGHT } from './engine-lab.ts';
import { checksum, DF, ipv4 } from './esp-reference.ts';
import { SanitizedTool } from './sanitized-tool.ts';

const TCP = 6;
const FIN = 1;
const PSH = 8;
const ACK = 16;
const CWR = 128;

type Segment = {
  readonly payload: Buffer;
  readonly sequence?: number;
  readonly flags?: number;
  readonly id?: number;
  readonly port?: number;
  readonly acknowledgement?: number;
  readonly options?: Buffer;
  readonly tos?: number;
};

function pseudoHeader(packet: Buffer): Buffer {
  const pseudo = Buffer.alloc(12);
  packet.copy(pseudo, 0, 12, 20);
  pseudo[9] = TCP;
  pseudo.writeUInt16BE(packet.length - 20, 10);
  return pseudo;
}

/** A TCP packet with right checksums. */
function tcp(segment: Segment): Buffer {
  const { payload, sequence = 1000, flags = ACK, id = 1, port = 5201, options = Buffer.alloc(0) } = segment;
  const header = Buffer.alloc(20);
  header.writeUInt16BE(40000, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt32BE(sequence >>> 0, 4);
  header.writeUInt32BE(segment.acknowledgement ?? 7, 8);
  header[12] = ((20 + options.length) / 4) << 4;
  header[13] = flags;
  header.writeUInt16BE(512, 14);
  const packet = ipv4({
    source: INNER_LEFT,
    destination: INNER_RIGHT,
    protocol: TCP,
    payload: Buffer.concat([header, options, payload]),
    id: id & 0xffff,
    fragment: DF,
    tos: segment.tos ?? 0,
  });
  packet.writeUInt16BE(checksum(Buffer.concat([pseudoHeader(packet), packet.subarray(20)])), 36);
  return packet;
}

/** As the kernel hands over a packet it has not finished: the checksum field holds the pseudo header's sum. */
function offloaded(packet: Buffer, gsoSize: number): Buffer {
  const partial = Buffer.from(packet);
  partial.writeUInt16BE(~checksum(pseudoHeader(packet)) & 0xffff, 36);
  const header = Buffer.alloc(10);
  header[0] = 1;
  header[1] = gsoSize === 0 ? 0 : 1;
  header.writeUInt16LE(40, 2);
  header.writeUInt16LE(gsoSize, 4);
  header.writeUInt16LE(20, 6);
  header.writeUInt16LE(16, 8);
  return Buffer.concat([header, partial]);
}

/** What the kernel would have sent without offload. */
function segments(segment: Segment, size: number): readonly Buffer[] {
  const { payload, sequence = 1000, flags = ACK, id = 1 } = segment;
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, i) =>
    tcp({
      ...segment,
      payload: payload.subarray(i * size, (i + 1) * size),
      sequence: sequence + i * size,
      id: id + i,
      flags: (i === 0 ? flags : flags & ~CWR) & (i === count - 1 ? 0xff : ~(FIN | PSH)),
    }),
  );
}

describe('segmentation offload', () => {
  let tool: SanitizedTool;
  before(() => {
    tool = new SanitizedTool('offload-tool', ['ip.c', 'ipv4.c', 'ipv6.c', 'split.c', 'coalesce.c']);
  });

  it('splits a segment into the packets the kernel would have sent', () => {
    const timestamps = Buffer.from('0101080a0000000100000002', 'hex');
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 65_000 }),
        fc.integer({ min: 1, max: 9_000 }),
        fc.constantFrom(ACK, ACK | PSH, ACK | PSH | FIN, ACK | CWR),
        fc.constantFrom(Buffer.alloc(0), timestamps),
        (bytes, size, flags, options) => {
          fc.pre(bytes / size < 200);
          const segment = {
            payload: randomBytes(bytes),
            flags,
            options,
            sequence: 2 ** 32 - 5000,
            id: 0xfff0,
          };
          assert.deepEqual(tool.run(['split'], [offloaded(tcp(segment), size)]), segments(segment, size));
        },
      ),
      tries(40),
    );
  });

  it('completes a checksum that was left to the device', () => {
    const packet = tcp({ payload: randomBytes(333) });
    assert.deepEqual(tool.run(['split'], [offloaded(packet, 0)]), [packet]);
    assert.deepEqual(tool.run(['split'], [Buffer.concat([Buffer.alloc(10), packet])]), [packet]);
  });

  it('gives nothing for headers that do not fit their packet', () => {
    const good = offloaded(tcp({ payload: randomBytes(100) }), 50);
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 10, maxLength: 10 }),
        fc.nat(150),
        fc.nat(149),
        fc.nat(255),
        (header, cut, at, value) => {
          const bad = Buffer.concat([Buffer.from(header), good.subarray(10)]);
          bad[10 + (at % 140)] = value;
          // Only that the sanitizers find nothing.
          tool.run(
            ['split'],
            [bad, bad.subarray(0, cut), Buffer.concat([good.subarray(0, 10), bad.subarray(10)])],
          );
        },
      ),
      tries(60),
    );
  });

  it('coalesces packets in order into one segment, which splits into them again', () => {
    const segment = { payload: randomBytes(30_100), flags: ACK | PSH, id: 0xfffa };
    const packets = segments(segment, 1348);
    const [written, ...rest] = tool.run(['coalesce'], packets);
    assert.ok(written);
    assert.equal(rest.length, 0);
    assert.deepEqual(written, offloaded(tcp(segment), 1348));
    assert.deepEqual(tool.run(['split'], [written]), packets);
  });

  it('whatever comes, gives the same packets in the same order within a flow', () => {
    const step = fc.record({
      bytes: fc.constantFrom(0, 1, 700, 1348, 1348, 1348, 1400),
      port: fc.constantFrom(5201, 5201, 5201, 5202, 5203),
      flags: fc.constantFrom(ACK, ACK, ACK, ACK | PSH, ACK | FIN, ACK | CWR),
      skip: fc.constantFrom(0, 0, 0, 0, 0, 1, -1348),
      idSkip: fc.constantFrom(0, 0, 0, 0, 1),
      tos: fc.constantFrom(0, 0, 0, 3),
      isCorrupt: fc.constantFrom(false, false, false, false, true),
      flush: fc.constantFrom(false, false, false, true),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
        const position = new Map<number, { sequence: number; id: number }>();
        const packets: Buffer[] = [];
        const records: Buffer[] = [];
        for (const { bytes, port, flags, skip, idSkip, tos, isCorrupt, flush } of steps) {
          const at = position.get(port) ?? { sequence: 2 ** 32 - 9000, id: 1 };
          const sequence = at.sequence + skip;
          const id = at.id + idSkip;
          const packet = tcp({ payload: randomBytes(bytes), port, flags, sequence, id, tos });
          if (isCorrupt) packet[packet.length - 1] = (packet[packet.length - 1] ?? 0) ^ 1;
          packets.push(packet);
          records.push(packet);
          if (flush) records.push(Buffer.alloc(0));
          position.set(port, { sequence: sequence + bytes, id: id + 1 });
        }
        const writes = tool.run(['coalesce'], records);
        const out = tool.run(['split'], writes);
        for (const port of [5201, 5202, 5203]) {
          const ofFlow = (packet: Buffer): boolean => packet.readUInt16BE(22) === port;
          assert.deepEqual(out.filter(ofFlow), packets.filter(ofFlow));
        }
        assert.ok(writes.length <= packets.length);
      }),
      tries(100),
    );
  });

  it('leaves what is not plain TCP data alone', () => {
    const fragment = ipv4({
      source: INNER_LEFT,
      destination: INNER_RIGHT,
      protocol: TCP,
      payload: randomBytes(40),
      fragment: 1,
    });
    const short = ipv4({
      source: INNER_LEFT,
      destination: INNER_RIGHT,
      protocol: TCP,
      payload: randomBytes(7),
    });
    const udp = ipv4({
      source: INNER_LEFT,
      destination: INNER_RIGHT,
      protocol: 17,
      payload: randomBytes(40),
    });
    const many = [fragment, short, udp, udp, fragment, short];
    assert.deepEqual(
      tool.run(['coalesce'], many),
      many.map((packet) => Buffer.concat([Buffer.alloc(10), packet])),
    );
  });
});
