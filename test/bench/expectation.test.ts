import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Expectation } from '../../bench/path/expectation.ts';

test('it is met by the last of its names, whatever else comes', async () => {
  const expectation = new Expectation('tunnels up', ['a', 'b'], 60_000);
  let isMet = false;
  const met = expectation.met.then(() => {
    isMet = true;
  });
  for (const name of ['b', 'c', 'b']) expectation.tick(name);
  await Promise.resolve();
  assert.equal(isMet, false);
  expectation.tick('a');
  await met;
});

test('it tells how many are missing when the time is over', async () => {
  const expectation = new Expectation('tunnels up', ['a', 'b', 'c'], 5);
  expectation.tick('b');
  await assert.rejects(expectation.met, /tunnels up: 2 of 3 missing after 5 ms/);
});

test('what ends it early is its reason', async () => {
  const expectation = new Expectation('tunnels up', ['a'], 60_000);
  const failure = new Error('charon is gone');
  expectation.fail(failure);
  await assert.rejects(expectation.met, failure);
});
