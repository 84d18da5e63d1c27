import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { collisionOdds, SLOT_COUNT, SlotTable, slotOf } from '../../../src/vsw/slots/index.ts';

/** SPIs of one slot, beginning at `first`. */
function colliding(first: number, count: number): readonly number[] {
  const spis: number[] = [];
  for (let spi = first; spis.length < count; spi += 1) if (slotOf(spi) === slotOf(first)) spis.push(spi);
  return spis;
}

describe('the slot of an SPI', () => {
  it('is the one seen on a real vsw', () => {
    assert.equal(slotOf(2), 82);
  });

  it('is one of 127, never 0, and the first of them comes up twice as often', () => {
    const counts = new Map<number, number>();
    for (let spi = 256; spi < 256 + 128 * 400; spi += 1) {
      counts.set(slotOf(spi), (counts.get(slotOf(spi)) ?? 0) + 1);
    }
    assert.equal(counts.size, SLOT_COUNT);
    assert.ok(!counts.has(0));
    const first = counts.get(1) ?? 0;
    assert.ok(first > 600 && first < 1000, `slot 1: ${first} of 400 expected twice`);
  });

  it('takes SPIs of 2^31 and above as unsigned', () => {
    for (const spi of [0x80000000, 0xcfffffff, 0xffffffff]) {
      assert.ok(slotOf(spi) >= 1 && slotOf(spi) <= 127);
    }
  });

  it('collides as often as was observed: 8 SAs 20 %, 14 SAs 54 %, 32 SAs 98 %', () => {
    let seed = 1;
    const random = (): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed;
    };
    for (const [sas, expected] of [
      [8, 0.2],
      [14, 0.54],
      [32, 0.98],
    ] as const) {
      let collided = 0;
      for (let run = 0; run < 4000; run += 1) {
        if (new Set(Array.from({ length: sas }, () => slotOf(random()))).size < sas) collided += 1;
      }
      const share = collided / 4000;
      assert.ok(Math.abs(share - expected) < 0.05, `${sas} SAs: ${share}, expected ${expected}`);
    }
  });

  it('gives the odds for the next SPI a peer draws', () => {
    assert.equal(collisionOdds([]), 0);
    assert.equal(collisionOdds([2, 3]), 2 / 128);
    assert.equal(collisionOdds([1]), 2 / 128);
  });
});

describe('the slots of a VRF', () => {
  it('are shared by both directions when SAs come through the configuration stream', () => {
    const [one = 0, other = 0] = colliding(1000, 2);
    const table = new SlotTable(() => 0, { isShared: true });
    table.take('inbound', one);
    assert.deepEqual([table.blocker('outbound', other)?.spi, table.used('outbound')], [one, 1]);
    const apart = new SlotTable(() => 0, { isShared: false });
    apart.take('inbound', one);
    assert.equal(apart.blocker('outbound', other), undefined);
  });

  it('let the SPI in that was reserved, and nobody else', () => {
    const [one = 0, other = 0] = colliding(1000, 2);
    const table = new SlotTable(() => 0, { isShared: true });
    table.reserve('inbound', one, 1000);
    assert.equal(table.blocker('inbound', one), undefined);
    assert.equal(table.blocker('outbound', other)?.kind, 'reserved');
    table.take('inbound', one);
    assert.equal(table.blocker('inbound', one)?.kind, 'sa', 'an SA is not added twice');
  });

  it('forget a reservation in time', () => {
    let now = 0;
    const [one = 0, other = 0] = colliding(1000, 2);
    const table = new SlotTable(() => now, { isShared: true });
    table.reserve('inbound', one, 1000);
    now = 1000;
    assert.equal(table.blocker('inbound', other), undefined);
    assert.equal(table.used('inbound'), 0);
  });

  it('keep a deleted SA’s slot, for its own SPI too, until vsw’s cores have seen the deletion', () => {
    let now = 0;
    const [one = 0, other = 0] = colliding(1000, 2);
    const table = new SlotTable(() => now, { isShared: true });
    table.take('outbound', one);
    table.leave('outbound', one, 2000);
    now = 1999;
    assert.equal(table.blocker('outbound', one)?.kind, 'leaving');
    assert.equal(table.blocker('outbound', other)?.kind, 'leaving');
    now = 2000;
    assert.equal(table.blocker('outbound', one), undefined);
  });

  it('are not freed by an SPI that does not hold them', () => {
    const [one = 0, other = 0] = colliding(1000, 2);
    const table = new SlotTable(() => 0, { isShared: true });
    table.take('inbound', one);
    table.release('inbound', other);
    table.leave('inbound', other, 0);
    assert.equal(table.blocker('inbound', other)?.spi, one);
  });
});
