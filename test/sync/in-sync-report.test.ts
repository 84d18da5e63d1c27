import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResultCode } from '../../src/proto/index.ts';
import { sampleSa } from '../support/sample-sas.ts';
import { EMPTY, SyncLab, type TestAgent } from '../support/sync-lab.ts';

/** One that has to be deleted: charon does not have it. */
async function withLeftover(lab: SyncLab): Promise<void> {
  await using agent = await lab.agent();
  await agent.ready();
  await agent.add(sampleSa({ direction: 'outbound', spi: 0x1001 }));
}

async function untilReported(lab: SyncLab, agent: TestAgent, count: number): Promise<void> {
  await agent.until(`report ${count}`, () => lab.dataplane.inSyncReports.length === count);
}

test('a dataplane that waits is told once, after the first comparison has done its work', async () => {
  await using lab = await SyncLab.start();
  await withLeftover(lab);
  lab.dataplane.waitsForInSync = true;
  const agent = await lab.agent();
  await agent.until('it is connected', () => agent.engine.status().link === 'no-snapshot');
  assert.equal(lab.dataplane.inSyncReports.length, 0, 'not before charon’s snapshot');
  await agent.ready(EMPTY);
  await untilReported(lab, agent, 1);
  assert.equal(lab.dataplane.inSyncReports[0]?.sas, 0, 'what charon does not have is gone');
  await agent.engine.audit();
  await agent.engine.audit();
  assert.equal(lab.dataplane.inSyncReports.length, 1);
});

test('it is told again after it started anew', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.waitsForInSync = true;
  const agent = await lab.agent();
  await agent.ready(EMPTY);
  await untilReported(lab, agent, 1);
  await lab.dataplane.restart();
  await untilReported(lab, agent, 2);
});

test('one that could not be told is told later', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.waitsForInSync = true;
  const agent = await lab.agent();
  let isRefused = false;
  lab.dataplane.onReport = () => {
    lab.dataplane.onReport = () => undefined;
    isRefused = true;
    throw new Error('as the test wants it');
  };
  await agent.ready(EMPTY);
  await agent.until('it could not be told', () => isRefused);
  await agent.idle();
  await agent.until('it is told', () => lab.dataplane.inSyncReports.length === 1, 60_000);
});

test('an entry that is refused keeps nobody waiting', async () => {
  await using lab = await SyncLab.start();
  await withLeftover(lab);
  lab.dataplane.waitsForInSync = true;
  const refusal = { kind: 'refuse', code: ResultCode.RESULT_CODE_INTERNAL, message: 'no' } as const;
  lab.dataplane.failNext('deleteSa', refusal);
  const agent = await lab.agent();
  await agent.ready(EMPTY);
  await untilReported(lab, agent, 1);
  assert.equal(lab.dataplane.inSyncReports[0]?.sas, 1);
});

test('one that does not wait is not told', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready(EMPTY);
  await agent.engine.audit();
  assert.deepEqual(lab.dataplane.inSyncReports, []);
});
