import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SpiReservations } from '../../src/dataplane/spi-reservations.ts';
import type { Clock } from '../../src/util/index.ts';

class ManualClock implements Clock {
  ms = 0;
  readonly now = (): number => this.ms;
  readonly sleep = (): Promise<void> => Promise.resolve();
}

const never = (): boolean => false;

describe('reserved SPIs', () => {
  it('are drawn from charon’s range, once each', () => {
    const draws = [0xc0000000, 0xc0000000, 0xcfffffff, 0xc0000005];
    const reservations = new SpiReservations(new ManualClock(), (first, end) => {
      assert.deepEqual([first, end], [0xc0000000, 0xd0000000]);
      return draws.shift() ?? 0;
    });
    assert.equal(reservations.reserve(never), 0xc0000000);
    assert.equal(reservations.reserve(never), 0xcfffffff);
    assert.equal(
      reservations.reserve((spi) => spi === 0xcfffffff),
      0xc0000005,
    );
  });

  it('are forgotten after 180 s, or when released', () => {
    const clock = new ManualClock();
    const reservations = new SpiReservations(clock, () => 0xc0000001);
    assert.equal(reservations.reserve(never), 0xc0000001);
    assert.throws(() => reservations.reserve(never), /no free SPI/);
    clock.ms = 179_999;
    assert.throws(() => reservations.reserve(never), /no free SPI/);
    clock.ms = 180_000;
    assert.equal(reservations.reserve(never), 0xc0000001);
    reservations.release(0xc0000001);
    assert.equal(reservations.reserve(never), 0xc0000001);
  });

  it('are bounded', () => {
    let next = 0xc0000000;
    const reservations = new SpiReservations(new ManualClock(), () => next++);
    for (let i = 0; i < 65_536; i += 1) reservations.reserve(never);
    assert.throws(() => reservations.reserve(never), /65536/);
  });
});
