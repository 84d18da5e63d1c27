import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { tries } from '../support/tries.ts';
import { checksum } from './esp-reference.ts';
import { ipv6, optionsHeader, pseudoChecksum } from './ipv6-packets.ts';
import { SanitizedTool } from './sanitized-tool.ts';

const [TCP, ACK, PSH, GSO_TCPV6] = [6, 16, 8, 4];
const LEFT = (0x20010db8n << 96n) | 1n;
const ends = { source: LEFT, destination: LEFT + 1n };

type Segment = {
  readonly payload: Buffer;
  readonly sequence?: number;
  readonly flags?: number;
  readonly flowLabel?: number;
  readonly hopLimit?: number;
  /** Destination options before TCP. */
  readonly hasOptions?: boolean;
};

/** A TCP packet with a right checksum. */
function tcp({ payload, sequence = 1000, flags = ACK, hasOptions = false, ...fields }: Segment): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(40000, 0);
  header.writeUInt16BE(5201, 2);
  header.writeUInt32BE(sequence >>> 0, 4);
  header.writeUInt32BE(7, 8);
  header[12] = 5 << 4;
  header[13] = flags;
  header.writeUInt16BE(512, 14);
  const extension = hasOptions ? optionsHeader(TCP, Buffer.of(1, 4, 0, 0, 0, 0)) : Buffer.alloc(0);
  const load = Buffer.concat([extension, header, payload]);
  const packet = ipv6({ ...ends, ...fields, protocol: hasOptions ? 60 : TCP, payload: load });
  const upper = 40 + extension.length;
  packet.writeUInt16BE(pseudoChecksum(packet, upper, TCP), upper + 16);
  return packet;
}

/** As the kernel hands it over: behind a virtio_net_hdr, its checksum field holding the pseudo header's sum. */
function offloaded(packet: Buffer, upper: number, gsoSize: number): Buffer {
  const partial = Buffer.from(packet);
  const pseudo = Buffer.concat([packet.subarray(8, 40), Buffer.alloc(8)]);
  pseudo.writeUInt32BE(packet.length - upper, 32);
  pseudo[39] = TCP;
  partial.writeUInt16BE(~checksum(pseudo) & 0xffff, upper + 16);
  const header = Buffer.alloc(10);
  header[0] = 1;
  header[1] = GSO_TCPV6;
  header.writeUInt16LE(upper + 20, 2);
  header.writeUInt16LE(gsoSize, 4);
  header.writeUInt16LE(upper, 6);
  header.writeUInt16LE(16, 8);
  return Buffer.concat([header, partial]);
}

function segments(segment: Segment, size: number): readonly Buffer[] {
  const { payload, sequence = 1000, flags = ACK } = segment;
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, i) =>
    tcp({
      ...segment,
      payload: payload.subarray(i * size, (i + 1) * size),
      sequence: sequence + i * size,
      flags: i < count - 1 ? flags & ~PSH : flags,
    }),
  );
}

const none = Buffer.alloc(10);
const alone = (packet: Buffer): Buffer => Buffer.concat([none, packet]);

describe('segmentation offload of IPv6', () => {
  let tool: SanitizedTool;
  before(() => {
    tool = new SanitizedTool('offload-tool', ['ip.c', 'ipv4.c', 'ipv6.c', 'split.c', 'coalesce.c']);
  });

  it('splits a segment into the packets the kernel would have sent, behind extension headers too', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 65_000 }),
        fc.integer({ min: 400, max: 9_000 }),
        fc.boolean(),
        (bytes, size, hasOptions) => {
          const segment = { payload: randomBytes(bytes), flags: ACK | PSH, flowLabel: 0x12345, hasOptions };
          const record = offloaded(tcp(segment), hasOptions ? 48 : 40, size);
          assert.deepEqual(tool.run(['split'], [record]), segments(segment, size));
        },
      ),
      tries(30),
    );
  });

  it('coalesces what splits into the same packets again', () => {
    const segment = { payload: randomBytes(10_000), flags: ACK | PSH, flowLabel: 9 };
    const packets = segments(segment, 1340);
    const written = tool.run(['coalesce'], packets);
    assert.equal(written.length, 1);
    assert.deepEqual(tool.run(['split'], written), packets);
  });

  it('leaves alone what is not the same flow, in order, plain and right', () => {
    const [payload, next] = [randomBytes(100), 1100];
    const first = tcp({ payload });
    const wrong = tcp({ payload, sequence: next });
    wrong[wrong.length - 1] = (wrong[wrong.length - 1] ?? 0) ^ 1;
    for (const second of [
      tcp({ payload, sequence: next, flowLabel: 1 }),
      tcp({ payload, sequence: next, hopLimit: 63 }),
      tcp({ payload, sequence: next + 1 }),
      tcp({ payload, sequence: next, hasOptions: true }),
      wrong,
    ]) {
      const written = tool.run(['coalesce'], [first, second]);
      assert.deepEqual(new Set(written.map(String)), new Set([first, second].map(alone).map(String)));
    }
  });
});
