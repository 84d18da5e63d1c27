import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { keyForms } from './index.ts';

const key = fc.uint8Array({ minLength: 16, maxLength: 36 });

function isFound(key: Uint8Array, text: string | Buffer): boolean {
  const haystack = Buffer.from(text);
  return keyForms(key).some((form) => haystack.includes(form));
}

test('a key is found in whatever way it was written', () => {
  fc.assert(
    fc.property(
      key,
      fc.uint8Array({ maxLength: 5 }),
      fc.uint8Array({ maxLength: 5 }),
      (key, before, after) => {
        const around = Buffer.concat([before, key, after]);
        for (const text of [
          around,
          around.toString('hex'),
          around.toString('base64'),
          around.toString('base64url'),
          JSON.stringify(around),
          JSON.stringify([...around], undefined, 1).replaceAll('\n', ''),
          inspect(around),
        ]) {
          assert(isFound(key, text));
        }
      },
    ),
  );
});

test('another key is not taken for it', () => {
  fc.assert(
    fc.property(key, (key) => {
      const other = key.map((byte) => byte ^ 1);
      for (const text of [
        Buffer.from(other),
        Buffer.from(other).toString('hex'),
        JSON.stringify([...other]),
      ]) {
        assert(!isFound(key, text));
      }
    }),
  );
});
