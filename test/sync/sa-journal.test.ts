import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SaKey, saKey, toSpi } from '../../src/sad/index.ts';
import { SaJournal } from '../../src/sync/index.ts';
import { FakeClock } from '../support/fake-clock.ts';

function keyOf(spi: number): SaKey {
  return saKey({ direction: 'inbound', protocol: 'esp', spi: toSpi(spi), destination: '198.18.0.1' });
}

const KEY = keyOf(0x1001);

test('counts the same transition as one entry with both its times', async () => {
  const clock = new FakeClock();
  const journal = new SaJournal({ clock });
  journal.note(KEY, 'failed', 'no room');
  await clock.advance(200);
  journal.note(KEY, 'failed', 'no room');
  journal.note(KEY, 'failed', 'no memory');
  assert.deepEqual(journal.entries(KEY), [
    { kind: 'failed', firstMs: 0, lastMs: 200, times: 2, detail: 'no room' },
    { kind: 'failed', firstMs: 200, lastMs: 200, times: 1, detail: 'no memory' },
  ]);
});

test('has the last transition last, and one that alternates with another once', async () => {
  const clock = new FakeClock();
  const journal = new SaJournal({ clock });
  journal.note(KEY, 'installed');
  for (let round = 1; round <= 50; round += 1) {
    await clock.advance(100);
    journal.note(KEY, 'missing');
    journal.note(KEY, 'failed', 'no room');
  }
  journal.note(KEY, 'missing');
  journal.note(KEY, 'installed');
  assert.deepEqual(
    journal.entries(KEY).map(({ kind, firstMs, lastMs, times }) => [kind, firstMs, lastMs, times]),
    [
      ['installed', 0, 0, 1],
      ['failed', 100, 5_000, 50],
      ['missing', 100, 5_000, 51],
      ['installed', 5_000, 5_000, 1],
    ],
  );
});

test('keeps the first entry of an SA and as many of the last as there is room for', () => {
  const journal = new SaJournal({ clock: new FakeClock(), entriesPerSa: 3 });
  journal.note(KEY, 'installed');
  for (const detail of ['a', 'b', 'c', 'd']) journal.note(KEY, 'failed', detail);
  assert.deepEqual(
    journal.entries(KEY).map(({ kind, detail }) => [kind, detail]),
    [
      ['installed', undefined],
      ['failed', 'c'],
      ['failed', 'd'],
    ],
  );
});

test('remembers those that went last, and no more than it may', () => {
  const journal = new SaJournal({ clock: new FakeClock(), gone: 2 });
  for (const spi of [0x1001, 0x1002, 0x1003]) {
    journal.note(keyOf(spi), 'installed');
    journal.end(keyOf(spi), 'deleted');
  }
  assert.deepEqual([...journal.keys()], [keyOf(0x1002), keyOf(0x1003)]);
  assert.equal(journal.isLiving(keyOf(0x1003)), false);
  journal.note(keyOf(0x1003), 'installed');
  assert.deepEqual(
    journal.entries(keyOf(0x1003)).map(({ kind }) => kind),
    ['installed', 'deleted', 'installed'],
  );
  assert.equal(journal.isLiving(keyOf(0x1003)), true);
  assert.equal(journal.size, 2);
});

test('ends whoever is not among those to keep', () => {
  const journal = new SaJournal({ clock: new FakeClock() });
  journal.note(KEY, 'installed');
  journal.note(keyOf(0x1002), 'installed');
  journal.keepOnly(new Set([KEY]), 'left', 'nobody has it');
  assert.deepEqual([journal.isLiving(KEY), journal.isLiving(keyOf(0x1002))], [true, false]);
  assert.equal(journal.entries(keyOf(0x1002)).at(-1)?.detail, 'nobody has it');
});
