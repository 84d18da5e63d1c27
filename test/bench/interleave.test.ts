import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interleave } from '../../bench/support/interleave.ts';

test('two variants take turns, and take turns in going first', async () => {
  const order: string[] = [];
  const variant = (name: string) => async (round: number) => {
    order.push(name);
    return `${name}${round}`;
  };
  const measured = await interleave(3, variant('a'), variant('b'));
  assert.deepEqual(order, ['a', 'b', 'b', 'a', 'a', 'b']);
  assert.deepEqual(measured, { a: ['a0', 'a1', 'a2'], b: ['b0', 'b1', 'b2'] });
});

test('one that fails ends the measurement', async () => {
  const failure = new Error('no tunnel');
  await assert.rejects(
    interleave(
      2,
      async () => 1,
      () => Promise.reject(failure),
    ),
    failure,
  );
});
