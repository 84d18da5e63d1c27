import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOffs } from '../../src/sync/back-off.ts';

test('knows what is due first among more entries than a call takes arguments', () => {
  const backOffs = new BackOffs({ firstMs: 100, maxMs: 1_000 });
  assert.equal(backOffs.nextDueMs, Number.POSITIVE_INFINITY);
  for (let index = 0; index < 200_000; index += 1) backOffs.fail(`key ${index}`, 'refused', 200_000 - index);
  assert.equal(backOffs.nextDueMs, 101);
});
