import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeMessage,
  decodePacket,
  encodeMessage,
  encodePacket,
  type Segment,
  SegmentSplitter,
  type ViciPacket,
} from '../../src/vici/index.ts';
import { recordedListSas } from './samples.ts';

const LENGTH_BYTES = 4;

function split(chunks: readonly Uint8Array[]): readonly Segment[] {
  const splitter = new SegmentSplitter();
  return chunks.flatMap((chunk) => [...splitter.push(chunk)]);
}

const name = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' });
const message = fc.uint8Array({ maxLength: 50 }).map((array) => Buffer.from(array));
const packets: fc.Arbitrary<ViciPacket> = fc.oneof(
  fc
    .tuple(fc.constantFrom('command-request', 'event'), name, message)
    .map(([kind, name, message]) => ({ kind, name, message })),
  message.map((message) => ({ kind: 'command-response' as const, message })),
  fc
    .tuple(fc.constantFrom('event-register', 'event-unregister'), name)
    .map(([kind, name]) => ({ kind, name })),
  fc.constantFrom('command-unknown', 'event-confirm', 'event-unknown').map((kind) => ({ kind })),
);

test('lays out a request and a registration as strongSwan documents', () => {
  assert.deepEqual(
    [...encodePacket({ kind: 'command-request', name: 'stats', message: new Uint8Array() })],
    [0, 0, 0, 7, 0, 5, ...Buffer.from('stats')],
  );
  assert.deepEqual(
    [...encodePacket({ kind: 'event-register', name: 'log' })],
    [0, 0, 0, 5, 3, 3, ...Buffer.from('log')],
  );
});

test('gives back every packet that it encoded', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      assert.deepEqual(decodePacket(encodePacket(packet).subarray(LENGTH_BYTES)), packet);
    }),
  );
});

test('refuses a packet that is truncated, too long or unknown', () => {
  const cases = [
    [[7], /it ends within its name, at byte 51$/],
    [[7, 3, 0x61, 0x62], /it ends within its name/],
    [[5, 0], /event-confirm: 1 trailing bytes, at byte 51$/],
    [[3, 1, 0x61, 0], /event-register: 1 trailing bytes, at byte 53$/],
    [[8], /unknown type 8, at byte 50$/],
  ] as const;
  for (const [bytes, problem] of cases) {
    assert.throws(() => decodePacket(Uint8Array.from(bytes), 50), problem, String(bytes));
  }
});

test('finds the same packets at every split point', () => {
  const stream = Buffer.concat([
    encodePacket({ kind: 'event', name: 'list-sa', message: encodeMessage({ net: { uniqueid: 1 } }) }),
    encodePacket({ kind: 'event-confirm' }),
    encodePacket({ kind: 'command-response', message: encodeMessage({ success: 'yes' }) }),
  ]);
  const whole = split([stream]).map(({ bytes, offset }) => [[...bytes], offset]);
  assert.equal(whole.length, 3);
  for (let at = 0; at <= stream.length; at += 1) {
    const pieces = split([stream.subarray(0, at), stream.subarray(at)]);
    assert.deepEqual(
      pieces.map(({ bytes, offset }) => [[...bytes], offset]),
      whole,
      `split at ${at}`,
    );
  }
  const bytewise = split([...stream].map((byte) => Uint8Array.of(byte)));
  assert.deepEqual(
    bytewise.map(({ bytes, offset }) => [[...bytes], offset]),
    whole,
  );
});

test('takes 512 KiB and refuses more, or nothing, and stays poisoned', () => {
  const header = (length: number): Uint8Array => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(length);
    return bytes;
  };
  const largest = 512 * 1024;
  assert.equal(split([header(largest), new Uint8Array(largest)])[0]?.bytes.length, largest);
  assert.throws(() => split([header(0)]), /0 bytes, 1 to 524288 allowed, at byte 0$/);
  const splitter = new SegmentSplitter();
  assert.throws(() => [...splitter.push(header(largest + 1))], /524289 bytes/);
  assert.throws(() => [...splitter.push(header(1))], /524289 bytes/);
  const tooLong = new Uint8Array(largest);
  assert.throws(() => encodePacket({ kind: 'command-request', name: 'x', message: tooLong }), {
    code: 'invalid-input',
  });
});

test('reads what a real charon wrote, in chunks of any size, and writes the same bytes', () => {
  const recorded = recordedListSas();
  for (const chunkBytes of [1_000, 4_096, 65_536, recorded.length]) {
    const splitter = new SegmentSplitter();
    const again: Uint8Array[] = [];
    for (let at = 0; at < recorded.length; at += chunkBytes) {
      for (const { bytes } of splitter.push(recorded.subarray(at, at + chunkBytes))) {
        const packet = decodePacket(bytes);
        assert.ok('message' in packet);
        again.push(encodePacket({ ...packet, message: encodeMessage(decodeMessage(packet.message)) }));
      }
    }
    assert.equal(again.length, 1_001);
    assert.ok(splitter.isAtBoundary);
    assert.ok(Buffer.concat(again).equals(recorded));
  }
});
