import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readIpPackets } from './ip-packet.ts';

const PAYLOAD = Buffer.from(Array.from({ length: 40 }, (_, index) => index));

function ipv4(payload: Buffer, fragment: { readonly offset: number; readonly hasMore: boolean }): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(0x1234, 4);
  header.writeUInt16BE((fragment.hasMore ? 0x2000 : 0) | (fragment.offset / 8), 6);
  header.writeUInt8(50, 9);
  Buffer.from([198, 18, 0, 1, 198, 18, 0, 2]).copy(header, 12);
  return Buffer.concat([header, payload]);
}

function ipv6(payload: Buffer, offset: number, hasMore: boolean): Buffer {
  const header = Buffer.alloc(48);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(8 + payload.length, 4);
  header.writeUInt8(44, 6);
  header.writeUInt8(50, 40);
  header.writeUInt16BE(offset | (hasMore ? 1 : 0), 42);
  header.writeUInt32BE(7, 44);
  return Buffer.concat([header, payload]);
}

test('a whole IPv4 packet is read, without what pads its frame', () => {
  const frame = Buffer.concat([ipv4(PAYLOAD, { offset: 0, hasMore: false }), Buffer.alloc(6)]);
  assert.deepEqual(
    readIpPackets([frame]).map(({ payload }) => payload),
    [PAYLOAD],
  );
});

test('fragments are put together in any order, once the last is there', () => {
  const forms: readonly (readonly Buffer[])[] = [
    [
      ipv4(PAYLOAD.subarray(0, 16), { offset: 0, hasMore: true }),
      ipv4(PAYLOAD.subarray(16, 32), { offset: 16, hasMore: true }),
      ipv4(PAYLOAD.subarray(32), { offset: 32, hasMore: false }),
    ],
    [
      ipv6(PAYLOAD.subarray(0, 16), 0, true),
      ipv6(PAYLOAD.subarray(16, 32), 16, true),
      ipv6(PAYLOAD.subarray(32), 32, false),
    ],
  ];
  for (const pieces of forms) {
    for (const order of [pieces, pieces.toReversed()]) {
      const [packet, ...others] = readIpPackets(order);
      assert.deepEqual(packet?.payload, PAYLOAD);
      assert.equal(packet?.protocol, 50);
      assert.deepEqual(others, []);
    }
    assert.deepEqual(readIpPackets(pieces.slice(1)), []);
  }
});
