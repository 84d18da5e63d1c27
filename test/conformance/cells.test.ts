import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lab } from '../support/index.ts';
import { startBench } from './bench.ts';
import { runCell } from './cell.ts';
import { pairwiseCover } from './cover.ts';
import { PEER_NAMES, whyImpossible } from './impossible.ts';
import { allRows, rowName } from './row.ts';

/**
 * A cell passes, or is refused by a dataplane that lists what it lacks in GetCapabilities. Anything else
 * is a failure, working in spite of GetCapabilities included.
 */
for (const peer of PEER_NAMES) {
  test(`every row of the cover with ${peer}`, { timeout: 600_000 }, async (t) => {
    await using lab = await Lab.create();
    const rows = pairwiseCover(allRows().filter((row) => whyImpossible(row, peer) === undefined));
    const bench = await startBench(lab, peer, rows);
    for (const row of rows) {
      await t.test(rowName(row), async () => {
        const outcome = await runCell(bench, row);
        assert(outcome.kind === 'passed' || outcome.kind === 'refused', JSON.stringify(outcome));
      });
    }
  });
}
