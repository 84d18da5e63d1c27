import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeOf } from '../../demo/outcome.ts';

test('counts both directions, and succeeds when every packet arrived', () => {
  const flows = [
    { sent: 1_000, received: 1_000 },
    { sent: 900, received: 900 },
  ];
  assert.deepEqual(outcomeOf(flows, 2), {
    line: 'demo: 1900 sent, 1900 received, 2 rekeys, 0 lost',
    status: 0,
  });
});

test('one lost packet is told and fails', () => {
  const flows = [
    { sent: 1_000, received: 999 },
    { sent: 900, received: 900 },
  ];
  assert.deepEqual(outcomeOf(flows, 2), {
    line: 'demo: 1900 sent, 1899 received, 2 rekeys, 1 lost',
    status: 1,
  });
});

test('nothing sent is no success', () => {
  assert.equal(outcomeOf([{ sent: 0, received: 0 }], 2).status, 1);
});
