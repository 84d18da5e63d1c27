import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeTurns } from '../../bench/support/take-turns.ts';

test('every variant is measured in every round, and each goes first in turn', async () => {
  const order: string[] = [];
  const variant = (name: string) => async (round: number) => {
    order.push(name);
    return `${name}${round}`;
  };
  const measured = await takeTurns(3, ['a', 'b', 'c'].map(variant));
  assert.equal(order.join(''), 'abcbcacab');
  assert.deepEqual(measured, [
    ['a0', 'a1', 'a2'],
    ['b0', 'b1', 'b2'],
    ['c0', 'c1', 'c2'],
  ]);
});
