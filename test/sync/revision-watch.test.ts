import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../src/sad/index.ts';
import type { OperationResult } from '../../src/sync/index.ts';
import { RevisionWatch } from '../../src/sync/revision-watch.ts';
import { sampleSa } from '../support/sample-sas.ts';

const BOOT = 'b0';
const { id } = sampleSa({ direction: 'inbound', spi: 0x1001 });
const DELETE: Operation = { kind: 'delete-sa', id };
const RESERVE: Operation = {
  kind: 'reserve-spi',
  protocol: 'esp',
  source: id.destination,
  destination: id.destination,
};
const CHANGED: OperationResult = { kind: 'ok', isUnchanged: false };
const UNCHANGED: OperationResult = { kind: 'ok', isUnchanged: true };
const REFUSED: OperationResult = { kind: 'refused', code: 'capacity', reason: 'full' };

/** A watch that found the dataplane equal at revision 7. */
function equalAtSeven(): RevisionWatch {
  const watch = new RevisionWatch();
  watch.read({ bootId: BOOT, revision: 7n });
  watch.foundEqual(watch.era);
  assert.equal(watch.isEqual, true);
  return watch;
}

test('stays equal while the revision grows by our own changes', () => {
  const watch = equalAtSeven();
  watch.answered(
    [DELETE, DELETE, DELETE, RESERVE],
    [CHANGED, UNCHANGED, REFUSED, { kind: 'ok', isUnchanged: false }],
    8n,
  );
  assert.equal(watch.isEqual, true);
  watch.read({ bootId: BOOT, revision: 8n });
  assert.equal(watch.isEqual, true);
});

for (const [what, happen] of Object.entries({
  'somebody else changed something, seen in our answer': (watch: RevisionWatch) =>
    watch.answered([DELETE], [CHANGED], 9n),
  'somebody else changed something, seen when asked': (watch: RevisionWatch) =>
    watch.read({ bootId: BOOT, revision: 8n }),
  'our change is not counted': (watch: RevisionWatch) => watch.answered([DELETE], [CHANGED], 7n),
  'the dataplane booted': (watch: RevisionWatch) => watch.read({ bootId: 'b1', revision: 7n }),
  'there is a doubt': (watch: RevisionWatch) => watch.doubt(),
})) {
  test(`is not equal any more when ${what}`, () => {
    const watch = equalAtSeven();
    happen(watch);
    assert.equal(watch.isEqual, false);
    // Only another comparison makes it equal again.
    watch.read({ bootId: BOOT, revision: 9n });
    assert.equal(watch.isEqual, false);
    watch.foundEqual(watch.era);
    assert.equal(watch.isEqual, true);
  });
}

test('a comparison that began before a doubt, or before counting, says nothing', () => {
  const watch = new RevisionWatch();
  const { era: uncounted } = watch;
  watch.read({ bootId: BOOT, revision: 7n });
  watch.foundEqual(uncounted);
  assert.equal(watch.isEqual, false);
  const { era } = watch;
  watch.doubt();
  watch.read({ bootId: BOOT, revision: 7n });
  watch.foundEqual(era);
  assert.equal(watch.isEqual, false);
});
