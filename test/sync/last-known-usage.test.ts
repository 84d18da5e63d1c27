import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SaUsage } from '../../src/sad/index.ts';
import { LastKnownUsage } from '../../src/sync/last-known-usage.ts';
import { sampleSa } from '../support/sample-sas.ts';

function usage(spi: number, idleMs: bigint | undefined): SaUsage {
  const drops = { replayDrops: 0n, integrityFailures: 0n, selectorDrops: 0n, malformedDrops: 0n };
  const { id } = sampleSa({ direction: 'outbound', spi });
  return {
    id,
    counters: { bytes: 1n, packets: 1n, idleMs, ...drops },
    nextSequence: 2n,
    replayState: undefined,
  };
}

test('the last use is counted from the reading that told it', () => {
  const known = new LastKnownUsage();
  const [early, never, late] = [usage(0x1001, 10n), usage(0x1002, undefined), usage(0x1003, 5_000n)];
  known.note([early, never], 0);
  known.note([late], 60_000);
  const stranger = usage(0x1004, undefined);
  assert.deepEqual(
    known.mostRecentlyUsedFirst([never, early, stranger, late].map(({ id }) => id)).map(({ spi }) => spi),
    [0x1003, 0x1001, 0x1002, 0x1004],
  );
});
