import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestError } from '../../src/dataplane/request-error.ts';
import { Writers } from '../../src/dataplane/writers.ts';

const charonInstanceId = Buffer.alloc(16);

test('fences a writer of an earlier boot, even if nobody asked more often since', () => {
  const earlier = { ownerId: 'one', epoch: new Writers(1000n).acquire('one'), charonInstanceId };
  const writers = new Writers(2000n);
  const current = { ...earlier, epoch: writers.acquire('one') };
  assert.throws(() => writers.check(earlier), RequestError);
  assert.equal(writers.check(current).owner, 'one');
});
