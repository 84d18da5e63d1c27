import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerLimit } from '../../src/sync/peer-limit.ts';

test('lets so many attempts through within the window, of each peer', () => {
  const limit = new PeerLimit({ attempts: 2, windowMs: 100 });
  limit.take('a', 'one', 0);
  assert.equal(limit.left('a', 0), 1);
  limit.take('a', 'one', 50);
  assert.equal(limit.left('a', 50), 0);
  assert.equal(limit.left('b', 50), 2);
  assert.equal(limit.left('a', 99), 0);
  assert.equal(limit.left('a', 100), 1);
  assert.equal(limit.left('a', 150), 2);
});

test('counts nothing that came to something', () => {
  const limit = new PeerLimit({ attempts: 2, windowMs: 100 });
  limit.take('a', 'one', 0);
  limit.take('a', 'two', 0);
  limit.giveBack('a', 'one');
  assert.equal(limit.left('a', 0), 1);
  limit.take('a', 'three', 0);
  limit.giveBack('b', 'two');
  assert.equal(limit.left('a', 0), 0);
});
