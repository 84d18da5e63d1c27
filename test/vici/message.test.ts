import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeMessage,
  ElementCursor,
  encodeMessage,
  type ViciArguments,
  type ViciElement,
  ViciSection,
  ViciValue,
} from '../../src/vici/index.ts';
import { tries } from '../support/tries.ts';

function bytes(...parts: readonly (number | string)[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))));
}

const malformed = (problem: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && 'code' in error && error.code === 'malformed', String(error));
  assert.match(error.message, problem);
  return true;
};

// The structure that strongSwan's README of the vici plugin gives as its example.
const example: ViciArguments = {
  key1: 'value1',
  section1: { 'sub-section': { key2: 'value2' }, list1: ['item1', 'item2'] },
};
const exampleBytes = bytes(
  ...[3, 4, 'key1', 0, 6, 'value1'],
  ...[1, 8, 'section1'],
  ...[1, 11, 'sub-section'],
  ...[3, 4, 'key2', 0, 6, 'value2'],
  ...[2],
  ...[4, 5, 'list1'],
  ...[5, 0, 5, 'item1'],
  ...[5, 0, 5, 'item2'],
  ...[6],
  ...[2],
);

test("speaks the bytes of the protocol's own example", () => {
  assert.deepEqual(encodeMessage(example), exampleBytes);
  const message = decodeMessage(exampleBytes);
  assert.deepEqual(message.toJSON(), example);
  assert.equal(message.text('key1'), 'value1');
  assert.deepEqual(message.section('section1')?.list('list1'), ['item1', 'item2']);
  assert.equal(message.section('section1')?.section('sub-section')?.text('key2'), 'value2');
  assert.equal(message.text('section1'), undefined);
  assert.deepEqual(message.list('nowhere'), []);
});

test('writes numbers as digits, booleans as yes and no, and leaves out what is undefined', () => {
  const message = decodeMessage(
    encodeMessage({ a: 1, b: 2n, c: true, d: false, e: undefined, f: [], g: {} }),
  );
  assert.deepEqual(message.toJSON(), { a: '1', b: '2', c: 'yes', d: 'no', f: [], g: {} });
});

test('keeps sections of the same name apart', () => {
  const twice = bytes(1, 3, 'net', 3, 1, 'a', 0, 1, '1', 2, 1, 3, 'net', 3, 1, 'a', 0, 1, '2', 2);
  const message = decodeMessage(twice);
  assert.deepEqual(
    [...message.sections()].map(({ name, section }) => [name, section.text('a')]),
    [
      ['net', '1'],
      ['net', '2'],
    ],
  );
  assert.deepEqual(encodeMessage(message), twice);
});

test('refuses every truncation, and says where', () => {
  for (let length = 1; length < exampleBytes.length; length += 1) {
    // Between the first value and the section the message is whole.
    if (length === 14) continue;
    assert.throws(
      () => decodeMessage(exampleBytes.subarray(0, length)),
      malformed(/the message ends .*at byte \d+$/),
      `${length}`,
    );
  }
  assert.deepEqual(decodeMessage(new Uint8Array()).elements, []);
});

test('refuses what the format does not allow, with the offset in the stream', () => {
  const cases = [
    [[0], /unknown element 0, at byte 100$/],
    [[3, 1, 'a', 0, 0, 7], /unknown element 7, at byte 105$/],
    [[2], /a section ends that never began, at byte 100$/],
    [[5, 0, 0], /list-item outside of a list/],
    [[6], /list-end outside of a list/],
    [[4, 1, 'a', 4, 1, 'b'], /list-start inside of a list, at byte 103$/],
    [[4, 1, 'a', 3, 1, 'b', 0, 0], /key-value inside of a list/],
    [[4, 1, 'a', 1, 1, 'b'], /section-start inside of a list/],
    [[4, 1, 'a', 2], /section-end inside of a list/],
    [[1, 1, 'a'], /ends within a section or list, at byte 103$/],
    [[4, 1, 'a'], /ends within a section or list/],
  ] as const;
  for (const [parts, problem] of cases) {
    assert.throws(() => decodeMessage(bytes(...parts), 100), malformed(problem), String(parts));
  }
});

test('goes 64 sections deep and no further', () => {
  const nested = (depth: number): Uint8Array =>
    Buffer.concat([
      ...Array.from({ length: depth }, () => bytes(1, 1, 'a')),
      ...Array.from({ length: depth }, () => bytes(2)),
    ]);
  assert.equal(decodeMessage(nested(64)).elements.length, 1);
  assert.throws(() => decodeMessage(nested(65)), malformed(/more than 64 nested sections, at byte 192$/));
  assert.throws(() => decodeMessage(nested(40_000)), malformed(/nested/));
});

test('does not send a name or value that does not fit', () => {
  const invalid = { code: 'invalid-input' };
  assert.throws(() => encodeMessage({ ['x'.repeat(256)]: 'a' }), invalid);
  assert.throws(() => encodeMessage({ a: 'x'.repeat(65_536) }), invalid);
  let deep: ViciArguments = {};
  for (let depth = 0; depth < 65; depth += 1) deep = { a: deep };
  assert.throws(() => encodeMessage(deep), invalid);
});

const name = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme-ascii' });
const value = fc.uint8Array({ maxLength: 40 }).map((array) => ViciValue.of(array));
const { section } = fc.letrec<{ section: ViciSection; element: ViciElement }>((tie) => ({
  section: fc.array(tie('element'), { maxLength: 4 }).map((elements) => new ViciSection(elements)),
  element: fc.oneof(
    { maxDepth: 5 },
    fc.tuple(name, value).map((pair) => ({ kind: 'value' as const, name: pair[0], value: pair[1] })),
    fc
      .tuple(name, fc.array(value, { maxLength: 3 }))
      .map((pair) => ({ kind: 'list' as const, name: pair[0], items: pair[1] })),
    fc
      .tuple(name, tie('section'))
      .map((pair) => ({ kind: 'section' as const, name: pair[0], section: pair[1] })),
  ),
}));

/** Every element in its order, values in hexadecimal. */
function flat({ elements }: ViciSection): readonly unknown[] {
  const hex = ({ bytes }: ViciValue): string => Buffer.from(bytes).toString('hex');
  return elements.map((element) => {
    if (element.kind === 'value') return [element.name, hex(element.value)];
    if (element.kind === 'list') return [element.name, element.items.map(hex)];
    return [element.name, { section: flat(element.section) }];
  });
}

test('gives back every message that it encoded', () => {
  fc.assert(
    fc.property(section, (message) => {
      assert.deepEqual(flat(decodeMessage(encodeMessage(message))), flat(message));
    }),
  );
});

test('never fails but with MalformedError on random bytes, and then encodes what it decoded', () => {
  const element = fc.nat(8);
  fc.assert(
    fc.property(fc.array(fc.oneof(element, fc.nat(255)), { maxLength: 60 }), (random) => {
      const input = Buffer.from(random);
      let message: ViciSection;
      try {
        message = decodeMessage(input);
      } catch (error) {
        assert.ok(error instanceof Error && 'code' in error && error.code === 'malformed', String(error));
        return;
      }
      assert.deepEqual(encodeMessage(message), input);
    }),
    tries(2_000),
  );
});

test('walks over a message without building it', () => {
  const cursor = new ElementCursor(exampleBytes);
  const seen: string[] = [];
  for (let kind = cursor.next(); kind !== undefined; kind = cursor.next()) {
    if (kind === 'key-value') seen.push(`${cursor.name()}=${cursor.value().text}`);
  }
  assert.deepEqual(seen, ['key1=value1', 'key2=value2']);
});
