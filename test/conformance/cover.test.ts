import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pairsOf, pairwiseCover } from './cover.ts';
import { PEER_NAMES, whyImpossible } from './impossible.ts';
import { allRows, rowName } from './row.ts';

for (const peer of PEER_NAMES) {
  const possible = allRows().filter((row) => whyImpossible(row, peer) === undefined);

  test(`every pair of values that exists with ${peer} is in some row of its cover`, () => {
    const cover = pairwiseCover(possible);
    const covered = new Set(cover.flatMap(pairsOf));
    const missing = [...new Set(possible.flatMap(pairsOf))].filter((pair) => !covered.has(pair));
    assert.deepEqual(missing, []);
    assert(cover.length <= possible.length / 2, `${cover.length} of ${possible.length} rows`);
    assert.equal(new Set(cover.map(rowName)).size, cover.length);
  });

  test(`the cover for ${peer} is the same each time, whatever the order of the rows`, () => {
    const names = (rows: ReturnType<typeof pairwiseCover>): string[] => rows.map(rowName).sort();
    assert.deepEqual(names(pairwiseCover(possible.toReversed())), names(pairwiseCover(possible)));
  });
}

test('every algorithm is met with each mode, family, encapsulation and ESN that it can have', () => {
  const cover = pairwiseCover(allRows().filter((row) => whyImpossible(row, 'kernel') === undefined));
  const seen = new Set(cover.flatMap(pairsOf));
  for (const value of ['mode tunnel', 'mode transport', 'outer 4', 'outer 6', 'esn true', 'esn false']) {
    assert(seen.has(`algorithm esp aes256gcm16, ${value}`), value);
    assert(seen.has(`algorithm ah sha256, ${value}`), value);
  }
  for (const value of ['encapsulation udp', 'encapsulation plain'])
    assert(seen.has(`algorithm esp aes128ccm12, ${value}`), value);
});
