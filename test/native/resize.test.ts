import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { tries } from '../support/tries.ts';
import { INNER_LEFT, INNER_RIGHT } from './engine-lab.ts';
import { checksum, DF, ipv4 } from './esp-reference.ts';
import { SanitizedTool } from './sanitized-tool.ts';

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
const SYN = 2;
const MF = 0x2000;
const OFFSET = 0x1fff;

const LEFT6 = Buffer.from('20010db8000000000000000000000001', 'hex');
const RIGHT6 = Buffer.from('20010db8000000000000000000000002', 'hex');

function ipv6(next: number, payload: Buffer, source = LEFT6): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = next;
  header[7] = 64;
  return Buffer.concat([header, source, RIGHT6, payload]);
}

/** What an upper-layer checksum covers, its own field included: the sum of it is 0 when it is right. */
function covered(packet: Buffer, protocol: number): Buffer {
  const isIpv6 = packet[0] === 0x60;
  const [header, addresses] = isIpv6 ? [40, packet.subarray(8, 40)] : [20, packet.subarray(12, 20)];
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(protocol, 0);
  tail.writeUInt16BE(packet.length - header, 2);
  return Buffer.concat([addresses, tail, packet.subarray(header)]);
}

function tcp(isIpv6: boolean, options: Buffer, flags = SYN): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt32BE(0x9c401451);
  header[12] = ((20 + options.length) / 4) << 4;
  header[13] = flags;
  const payload = Buffer.concat([header, options]);
  const packet = isIpv6
    ? ipv6(TCP, payload)
    : ipv4({ source: INNER_LEFT, destination: INNER_RIGHT, protocol: TCP, payload });
  packet.writeUInt16BE(checksum(covered(packet, TCP)), packet.length - payload.length + 16);
  return packet;
}

const mss = (value: number): readonly number[] => [2, 4, value >>> 8, value & 255];

describe('packets made to fit', () => {
  let tool: SanitizedTool;
  before(() => {
    tool = new SanitizedTool('resize-tool', ['ip.c', 'ipv4.c', 'ipv6.c', 'fragment.c', 'icmp.c', 'mss.c']);
  });

  it('ask in a SYN for what fits, wherever the option stands, and keep a right checksum right', () => {
    const layouts: readonly ((value: number) => number[])[] = [
      (value) => [...mss(value)],
      (value) => [4, 2, 1, 1, ...mss(value)],
      // At an odd offset, where the checksum's bytes change places.
      (value) => [1, ...mss(value), 1, 1, 1],
      (value) => [3, 3, 7, ...mss(value), 0],
    ];
    for (const isIpv6 of [false, true]) {
      for (const layout of layouts) {
        for (const [asked, wanted] of [
          [1460, 1400 - (isIpv6 ? 60 : 40)],
          [536, 536],
          [65495, 1400 - (isIpv6 ? 60 : 40)],
        ] as const) {
          const [out] = tool.run(['mss', '1400'], [tcp(isIpv6, Buffer.from(layout(asked)))]);
          assert.deepEqual(out?.subarray(isIpv6 ? 60 : 40), Buffer.from(layout(wanted)));
          assert.equal(checksum(covered(out, TCP)), 0);
        }
      }
    }
  });

  it('are left alone without SYN, without the option, and with options that go nowhere', () => {
    const same: readonly Buffer[] = [
      tcp(false, Buffer.from(mss(1460)), 0x10),
      tcp(false, Buffer.alloc(0)),
      tcp(false, Buffer.of(3, 0, 0, 0)),
      tcp(false, Buffer.of(1, 1, 1, 2)),
      tcp(false, Buffer.of(2, 40, 5, 180)),
      ipv4({ source: INNER_LEFT, destination: INNER_RIGHT, protocol: TCP, payload: randomBytes(13) }),
    ];
    assert.deepEqual(tool.run(['mss', '1400'], same), same);
  });

  it('are fragments that give the packet again, none larger than what fits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4_000 }),
        fc.integer({ min: 68, max: 1_500 }),
        fc.constantFrom(0, 5, 200),
        fc.boolean(),
        (size, largest, first, isMore) => {
          const payload = randomBytes(isMore ? size - (size % 8) || 8 : size);
          const fragment = first | (isMore ? MF : 0);
          const whole = ipv4({
            source: INNER_LEFT,
            destination: INNER_RIGHT,
            protocol: UDP,
            payload,
            fragment,
          });
          const parts = tool.run(['fragment', String(largest)], [whole]);
          if (whole.length <= largest) assert.deepEqual(parts, [whole]);
          const others = Math.floor((largest - 20) / 8) * 8;
          const fewest = 1 + Math.ceil(Math.max(0, payload.length - (largest - 20)) / others);
          assert.equal(parts.length, fewest);
          let at = first * 8;
          const pieces = parts.map((part, index) => {
            assert.ok(part.length <= largest && part.readUInt16BE(2) === part.length);
            assert.equal(checksum(part.subarray(0, 20)), 0);
            const field = part.readUInt16BE(6);
            assert.equal((field & OFFSET) * 8, at);
            assert.equal((field & MF) !== 0, isMore || index < parts.length - 1);
            assert.deepEqual(part.subarray(8, 10), whole.subarray(8, 10));
            at += part.length - 20;
            return part.subarray(20);
          });
          assert.deepEqual(Buffer.concat(pieces), payload);
        },
      ),
      {
        ...tries(40),
        // A packet, and a last fragment, that fill the limit to a length that is no multiple of 8.
        examples: [
          [409, 429, 0, false],
          [817, 429, 5, false],
        ],
      },
    );
  });

  it('are told of with their head, in both families', () => {
    const payload = randomBytes(1400);
    const large = ipv4({
      source: INNER_LEFT,
      destination: INNER_RIGHT,
      protocol: UDP,
      payload,
      fragment: DF,
    });
    const [four] = tool.run(['too-big', '1338'], [large]);
    assert.ok(four !== undefined);
    assert.equal(four.length, 576);
    assert.deepEqual([four[9], four[20], four[21], four.readUInt16BE(26)], [ICMP, 3, 4, 1338]);
    assert.deepEqual(four.subarray(12, 20), Buffer.concat([large.subarray(16, 20), large.subarray(12, 16)]));
    assert.deepEqual(four.subarray(28), large.subarray(0, 548));
    assert.deepEqual([checksum(four.subarray(0, 20)), checksum(four.subarray(20))], [0, 0]);

    const large6 = ipv6(UDP, payload);
    const [six] = tool.run(['too-big', '1338'], [large6]);
    assert.ok(six !== undefined);
    assert.equal(six.length, 1280);
    assert.deepEqual([six[6], six[40], six[41], six.readUInt32BE(44)], [ICMPV6, 2, 0, 1338]);
    assert.deepEqual(six.subarray(8, 40), Buffer.concat([RIGHT6, LEFT6]));
    assert.deepEqual(six.subarray(48), large6.subarray(0, 1232));
    assert.equal(checksum(covered(six, ICMPV6)), 0);
  });

  it('are not told of when they are errors, later fragments, or of no host', () => {
    const address = (text: string): bigint => 0xffff00000000n | BigInt(`0x${text}`);
    const base = { source: INNER_LEFT, destination: INNER_RIGHT, protocol: UDP, payload: randomBytes(100) };
    const error = Buffer.concat([Buffer.of(3, 1), randomBytes(50)]);
    const silent: readonly Buffer[] = [
      ipv4({ ...base, protocol: ICMP, payload: error }),
      ipv4({ ...base, fragment: 9 }),
      ipv4({ ...base, source: address('00000000') }),
      ipv4({ ...base, destination: address('e0000001') }),
      ipv6(ICMPV6, Buffer.concat([Buffer.of(1, 0), randomBytes(50)])),
      ipv6(UDP, base.payload, Buffer.alloc(16)),
      ipv6(UDP, base.payload, Buffer.from('ff020000000000000000000000000001', 'hex')),
    ];
    assert.deepEqual(tool.run(['too-big', '1338'], silent), []);
    const query = Buffer.concat([Buffer.of(8, 0), randomBytes(50)]);
    assert.equal(
      tool.run(['too-big', '1338'], [ipv4({ ...base, protocol: ICMP, payload: query })]).length,
      1,
    );
  });

  it('read and write nothing beyond their ends, whatever they hold', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 21, maxLength: 120 }),
        fc.constantFrom(0x45, 0x47, 0x60),
        (bytes, first) => {
          const packet = Buffer.from(bytes);
          packet[0] = first;
          if (first === 0x60) packet.writeUInt16BE(Math.max(0, packet.length - 40), 4);
          else packet.writeUInt16BE(packet.length, 2);
          for (const mode of ['mss', 'fragment', 'too-big']) tool.run([mode, '68'], [packet]);
        },
      ),
      tries(60),
    );
  });
});
