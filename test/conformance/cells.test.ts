import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pairwiseCover } from './cover.ts';
import { PEER_NAMES, whyImpossible } from './impossible.ts';
import { allRows, rowName } from './row.ts';
import { runRows } from './runner.ts';

/**
 * A cell passes, or is refused by a dataplane that lists what it lacks in GetCapabilities. Anything else
 * is a failure, working in spite of GetCapabilities included.
 */
for (const peer of PEER_NAMES) {
  test(`every row of the cover with ${peer}`, { timeout: 900_000 }, async (t) => {
    const rows = pairwiseCover(allRows().filter((row) => whyImpossible(row, peer) === undefined));
    await runRows({
      ...{ peer, rows },
      onCell: ({ row, outcome }) =>
        t.test(rowName(row), () => {
          assert(outcome.kind === 'passed' || outcome.kind === 'refused', JSON.stringify(outcome));
        }),
    });
  });
}
