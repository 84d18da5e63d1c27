import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NameTable } from '../../src/vici/index.ts';
import { knownNames } from '../../src/vici/name-table.ts';

test('gives the string of the bytes, whether it holds it or not', () => {
  const table = new NameTable(['uniqueid', 'state'], { slots: 8 });
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 30 }), (names) => {
      for (const name of [...names, ...names]) {
        const bytes = Buffer.from(`<${name}>`, 'utf8');
        assert.equal(
          table.get(bytes, 1, bytes.length - 1, 'utf8'),
          bytes.toString('utf8', 1, bytes.length - 1),
        );
        assert.equal(
          knownNames.get(bytes, 1, bytes.length - 1),
          bytes.toString('latin1', 1, bytes.length - 1),
        );
      }
    }),
  );
});
