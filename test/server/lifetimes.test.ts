import assert from 'node:assert/strict';
import { beforeEach, describe, it, type TestContext } from 'node:test';
import { Lifetimes } from '../../src/server/lifetimes.ts';

describe('time lifetimes', () => {
  let ended: string[];
  let lifetimes: Lifetimes<number>;

  beforeEach(() => {
    ended = [];
    lifetimes = new Lifetimes<number>((sa, end) => ended.push(`${sa} ${end}`));
  });

  function withTimers(test: (tick: (seconds: number) => void) => void): (t: TestContext) => void {
    return (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      test((seconds) => t.mock.timers.tick(seconds * 1000));
    };
  }

  it(
    'end softly, then hard',
    withTimers((tick) => {
      lifetimes.start(1, { soft: 10n, hard: 12n });
      tick(9.9);
      assert.deepEqual(ended, []);
      tick(0.1);
      assert.deepEqual(ended, ['1 soft']);
      tick(2);
      assert.deepEqual(ended, ['1 soft', '1 hard']);
    }),
  );

  it(
    'of 0 never end, and stopped ones neither',
    withTimers((tick) => {
      lifetimes.start(1, { soft: 0n, hard: 0n });
      lifetimes.start(2, { soft: 1n, hard: 2n });
      lifetimes.stop(2);
      tick(1_000_000);
      assert.deepEqual(ended, []);
    }),
  );

  it(
    'may be longer than one timer can be',
    withTimers((tick) => {
      const hours = 60 * 24;
      lifetimes.start(1, { soft: 0n, hard: BigInt(hours) * 3600n });
      for (let hour = 0; hour < hours; hour += 1) tick(3599);
      assert.deepEqual(ended, []);
      tick(3600 * 24);
      assert.deepEqual(ended, ['1 hard']);
    }),
  );
});
