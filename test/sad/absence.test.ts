import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countAbsences, type Listing } from '../../src/sad/index.ts';

function listing(askedMs: number, keys: readonly string[], isComplete = true): Listing {
  return { askedMs, isComplete, has: (key) => keys.includes(key) };
}

test('counts complete listings in a row that lack it', () => {
  assert.equal(countAbsences([], 'x', 0), 0);
  assert.equal(countAbsences([listing(1, [])], 'x', 0), 1);
  assert.equal(countAbsences([listing(1, []), listing(2, ['y'])], 'x', 0), 2);
});

test('starts anew when any listing shows it, a complete one or not', () => {
  assert.equal(countAbsences([listing(1, []), listing(2, ['x']), listing(3, [])], 'x', 0), 1);
  assert.equal(countAbsences([listing(1, []), listing(2, ['x'], false), listing(3, [])], 'x', 0), 1);
  assert.equal(countAbsences([listing(1, []), listing(2, ['x'])], 'x', 0), 0);
});

test('takes absence from an incomplete listing for nothing', () => {
  assert.equal(countAbsences([listing(1, [], false), listing(2, [], false)], 'x', 0), 0);
  assert.equal(countAbsences([listing(1, []), listing(2, [], false), listing(3, [])], 'x', 0), 2);
});

test('takes listings asked for before it existed for nothing', () => {
  assert.equal(countAbsences([listing(1, []), listing(2, [])], 'x', 1), 1);
  assert.equal(countAbsences([listing(1, []), listing(2, [])], 'x', 2), 0);
});
