import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { median, quantile, spreadOf } from '../../bench/support/statistics.ts';

test('the median of an odd number of values is the middle one, of an even number halfway', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(median([7]), 7);
});

test('a quantile interpolates between its neighbours', () => {
  const values = Array.from({ length: 101 }, (_, index) => 100 - index);
  assert.equal(quantile(values, 0.99), 99);
  assert.equal(quantile([0, 10], 0.99), 9.9);
});

test('a spread gives the extremes and the number of runs, and leaves the values in order', () => {
  const values = [3, 1, 2];
  assert.deepEqual(spreadOf(values), { median: 2, min: 1, max: 3, runs: 3 });
  assert.deepEqual(values, [3, 1, 2]);
});

test('no values and a quantile outside 0 to 1 are refused', () => {
  assert.throws(() => median([]), RangeError);
  assert.throws(() => quantile([1], 1.1), RangeError);
  assert.throws(() => quantile([1], -0.1), RangeError);
});

test('quantiles lie between the extremes and grow with q', () => {
  const values = fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 1 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(values, share, share, (sample, one, other) => {
      const low = quantile(sample, Math.min(one, other));
      const high = quantile(sample, Math.max(one, other));
      const { min, max } = spreadOf(sample);
      assert(min <= low && low <= high + 1e-6 && high <= max);
    }),
  );
});
