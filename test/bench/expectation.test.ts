import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Expectation } from '../../bench/path/expectation.ts';

test('it is settled by the last of its names, whatever else comes', async () => {
  const expectation = new Expectation(['a', 'b'], 60_000);
  let isSettled = false;
  const settled = expectation.settled.finally(() => {
    isSettled = true;
  });
  for (const name of ['b', 'c', 'b']) expectation.tick(name);
  await sleep(5);
  assert.equal(isSettled, false);
  expectation.tick('a');
  const { elapsedMs, missing } = await settled;
  assert.deepEqual(missing, []);
  assert(elapsedMs >= 4, String(elapsedMs));
});

test('when the time is over it tells what is missing, and when the last one came', async () => {
  const expectation = new Expectation(['a', 'b', 'c'], 60);
  expectation.tick('b');
  const { elapsedMs, missing } = await expectation.settled;
  assert.deepEqual(missing, ['a', 'c']);
  assert(elapsedMs < 50, String(elapsedMs));
});

test('what ends it early is its reason', async () => {
  const expectation = new Expectation(['a'], 60_000);
  const failure = new Error('charon is gone');
  expectation.fail(failure);
  await assert.rejects(expectation.settled, failure);
});
