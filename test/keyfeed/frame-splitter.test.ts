import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameSplitter } from '../../src/keyfeed/index.ts';

type Seen = { readonly body: readonly number[]; readonly offset: number };

function frame(...body: readonly number[]): readonly number[] {
  return [0, 0, body.length >> 8, body.length & 0xff, ...body];
}

/** What comes out of one splitter, copied before it is wiped. */
function split(chunks: readonly (readonly number[])[], splitter = new FrameSplitter()): readonly Seen[] {
  const seen: Seen[] = [];
  for (const chunk of chunks) {
    for (const { bytes, offset } of splitter.push(Uint8Array.from(chunk))) {
      seen.push({ body: [...bytes], offset });
    }
  }
  return seen;
}

const stream = [
  ...frame(1, 2, 3),
  ...frame(4),
  ...frame(...Array.from({ length: 300 }, (_, index) => index & 0xff)),
];
const frames: readonly Seen[] = [
  { body: [1, 2, 3], offset: 4 },
  { body: [4], offset: 11 },
  { body: Array.from({ length: 300 }, (_, index) => index & 0xff), offset: 16 },
];

test('finds the same frames at every split point', () => {
  for (let at = 0; at <= stream.length; at += 1) {
    assert.deepEqual(split([stream.slice(0, at), stream.slice(at)]), frames, `split at ${at}`);
  }
});

test('finds the same frames byte by byte and in random chunks', () => {
  assert.deepEqual(split(stream.map((byte) => [byte])), frames);
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length)), (points) => {
      const cuts = [0, ...points.toSorted((a, b) => a - b), stream.length];
      const chunks = cuts.slice(1).map((end, index) => stream.slice(cuts[index], end));
      assert.deepEqual(split(chunks), frames);
    }),
  );
});

test('knows whether the stream may end here', () => {
  const splitter = new FrameSplitter();
  for (const [index, byte] of stream.entries()) {
    split([[byte]], splitter);
    const isEnd = [7, 12, stream.length].includes(index + 1);
    assert.equal(splitter.isAtBoundary, isEnd, `after byte ${index}`);
  }
});

test('overwrites every byte it was given, whole frames and pieces', () => {
  const whole = Uint8Array.from(frame(1, 2, 3));
  const piece = Uint8Array.from(frame(7, 7, 7, 7).slice(0, 6));
  const rest = Uint8Array.of(7, 7);
  const splitter = new FrameSplitter();
  const views: Uint8Array[] = [];
  for (const chunk of [whole, piece, rest]) {
    for (const { bytes } of splitter.push(chunk)) views.push(bytes);
  }
  assert.equal(views.length, 2);
  for (const bytes of [whole, piece, rest, ...views]) assert.deepEqual(bytes, new Uint8Array(bytes.length));
});

test('overwrites the rest of the chunk when the reader gives up', () => {
  const chunk = Uint8Array.from([...frame(1, 2), ...frame(3, 4)]);
  assert.throws(() => {
    for (const _ of new FrameSplitter().push(chunk)) throw new Error('enough');
  }, /enough/);
  assert.deepEqual(chunk, new Uint8Array(chunk.length));
});

test('refuses a length of 0 and one over the limit, with the offset, and stays poisoned', () => {
  const splitter = new FrameSplitter(8);
  assert.equal(split([frame(1, 2, 3, 4, 5, 6, 7, 8)], splitter).length, 1);
  const tooLong = /a frame of 9 bytes, 1 to 8 allowed, at byte 12$/;
  assert.throws(() => split([[0, 0, 0, 9]], splitter), tooLong);
  assert.throws(() => split([frame(1)], splitter), tooLong);
  assert.throws(() => split([[0, 0, 0, 0]]), /a frame of 0 bytes/);
  assert.throws(() => split([[0xff, 0xff, 0xff, 0xff]]), /a frame of 4294967295 bytes, 1 to 1048576 allowed/);
});
