import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { SyncLab } from '../support/sync-lab.ts';

test('answers an add once it is in the dataplane', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const sa = sampleSa({ direction: 'inbound', spi: 0x1001 });
  assert.deepEqual(await agent.engine.handle({ kind: 'add-sa', sa }), { kind: 'ok', spi: undefined });
  assert.deepEqual(
    lab.dataplane.sas.map(({ id }) => id?.spi),
    [0x1001],
  );
  assert.equal(
    (
      await agent.engine.handle({
        kind: 'add-policy',
        user: sampleUser({ direction: 'inbound', spi: 0x1001 }),
      })
    ).kind,
    'ok',
  );
  assert.deepEqual(agent.engine.status().isInSync, true);
});
