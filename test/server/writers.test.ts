import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestError } from '../../src/server/request-error.ts';
import { Writers } from '../../src/server/writers.ts';

const charonInstanceId = Buffer.alloc(16);

test('fences a writer of an earlier boot, even if nobody asked more often since', () => {
  const earlier = { ownerId: 'one', epoch: new Writers(1000n).acquire('one', 'a'), charonInstanceId };
  const writers = new Writers(2000n);
  const current = { ...earlier, epoch: writers.acquire('one', 'a') };
  assert.throws(() => writers.check(earlier), RequestError);
  assert.equal(writers.check(current).owner, 'one');
});

test('gives the role to another agent only once the one that holds it shows no life', () => {
  const writers = new Writers(0n);
  const leave = writers.attend('one', 'a');
  writers.acquire('one', 'a');
  assert.throws(() => writers.acquire('one', 'b'), /agent "a" writes for owner "one" and is connected/);
  assert.equal(writers.acquire('one', 'a'), 2n, 'its own role it may take anew');
  assert.equal(writers.acquire('two', 'b'), 1n, 'another owner is another matter');
  leave();
  leave();
  assert.equal(writers.acquire('one', 'b'), 3n);
});

test('counts the signs of life of one agent', () => {
  const writers = new Writers(0n);
  const leaves = [writers.attend('one', 'a'), writers.attend('one', 'a')];
  writers.acquire('one', 'a');
  leaves[0]?.();
  assert.throws(() => writers.acquire('one', 'b'), RequestError);
  leaves[1]?.();
  assert.equal(writers.acquire('one', 'b'), 2n);
});

test('gives the role to whoever does not say who it is', () => {
  const writers = new Writers(0n);
  writers.attend('one', 'a');
  writers.acquire('one', 'a');
  assert.equal(writers.acquire('one', ''), 2n);
});
