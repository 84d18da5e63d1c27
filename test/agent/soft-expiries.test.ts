import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SoftExpiries } from '../../src/agent/soft-expiries.ts';
import { type SaId, type SaUsage, saKey } from '../../src/sad/index.ts';
import { overSoftLimit } from '../../src/sync/soft-limits.ts';
import { sampleSa } from '../support/sample-sas.ts';

function usageOf(id: SaId, bytes: bigint, packets: bigint): SaUsage {
  const drops = { replayDrops: 0n, integrityFailures: 0n, selectorDrops: 0n, malformedDrops: 0n };
  return {
    id,
    counters: { bytes, packets, idleMs: 0n, ...drops },
    nextSequence: 1n,
    replayState: undefined,
  };
}

test('an SA is over its soft limit when it has reached one, in bytes or packets', () => {
  const sas = [{ bytes: 100n }, { packets: 10n }, { bytes: 100n, packets: 10n }, {}].map((softLifetime, at) =>
    sampleSa({ direction: 'inbound', spi: 0x1000 + at, change: { softLifetime } }),
  );
  const desired = new Map(sas.map((sa) => [saKey(sa.id), sa]));
  const stranger = sampleSa({ direction: 'outbound', spi: 0x1000 }).id;
  const over = (bytes: bigint, packets: bigint): number[] => {
    const usages = [...sas.map(({ id }) => id), stranger].map((id) => usageOf(id, bytes, packets));
    return overSoftLimit(usages, desired).map(({ spi }) => spi - 0x1000);
  };
  assert.deepEqual(over(99n, 9n), []);
  assert.deepEqual(over(100n, 9n), [0, 2]);
  assert.deepEqual(over(0n, 11n), [1, 2]);
});

test('a soft limit is told once, by the event or by a reading, whichever comes first', () => {
  const [a, b] = [0x1001, 0x1002].map((spi) => sampleSa({ direction: 'inbound', spi }).id);
  assert.ok(a !== undefined && b !== undefined);
  const reading = (over: readonly SaId[], listed = [a, b], isComplete = true) => ({
    usages: listed.map((id) => usageOf(id, 0n, 0n)),
    overSoftLimit: over,
    isComplete,
  });
  const expiries = new SoftExpiries();
  expiries.noteTold(a);
  assert.deepEqual(expiries.untold(reading([])), []);
  assert.deepEqual(expiries.untold(reading([a, b])), [b]);
  assert.deepEqual(expiries.untold(reading([a, b])), []);
  // That it is not listed says nothing when only some are.
  assert.deepEqual(expiries.untold(reading([b], [b], false)), []);
  assert.deepEqual(expiries.untold(reading([a, b])), []);
  // Gone, and another one under its name.
  assert.deepEqual(expiries.untold(reading([b], [b])), []);
  assert.deepEqual(expiries.untold(reading([a, b])), [a]);
});
