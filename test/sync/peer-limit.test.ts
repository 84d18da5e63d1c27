import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerLimit } from '../../src/sync/peer-limit.ts';

test('is reached by so many attempts within the window, by each peer for itself', () => {
  const limit = new PeerLimit({ attempts: 2, windowMs: 100 });
  limit.take('a', 'one', 0);
  assert.equal(limit.isReached('a', 0), false);
  limit.take('a', 'one', 50);
  assert.equal(limit.isReached('a', 50), true);
  assert.equal(limit.isReached('b', 50), false);
  assert.equal(limit.isReached('a', 99), true);
  assert.equal(limit.isReached('a', 100), false);
});

test('counts nothing that came to something', () => {
  const limit = new PeerLimit({ attempts: 2, windowMs: 100 });
  limit.take('a', 'one', 0);
  limit.take('a', 'two', 0);
  limit.giveBack('a', 'one');
  assert.equal(limit.isReached('a', 0), false);
  limit.take('a', 'three', 0);
  assert.equal(limit.isReached('a', 0), true);
  limit.giveBack('b', 'two');
  assert.equal(limit.isReached('a', 0), true);
});
