import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResultCode } from '../../src/proto/index.ts';
import type { SyncAnswer, Usage } from '../../src/sync/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { EMPTY, INSTANCE, SyncLab, type TestAgent } from '../support/sync-lab.ts';

const AUDIT_MS = 10_000;
const AUDITS_PER_LISTING = 20;
const NOTHING = { added: 0, updated: 0, deleted: 0, failed: 0, unknown: 0 };

/** Lets one audit come, and waits until it has ended. */
async function audit(agent: TestAgent): Promise<void> {
  const { cycles } = agent.engine.status().counters;
  await agent.until('it audits', () => agent.engine.status().counters.cycles > cycles, AUDIT_MS);
}

/** An agent with two SAs, after an audit that found them equal. */
async function settled(lab: SyncLab): Promise<TestAgent> {
  const agent = await lab.agent({ auditIntervalMs: AUDIT_MS });
  await agent.ready();
  await agent.add(
    sampleSa({ direction: 'inbound', spi: 0x1001 }),
    sampleSa({ direction: 'outbound', spi: 0x1002 }),
  );
  await agent.engine.audit();
  return agent;
}

test('an audit lists nothing while the revision tells of no changes but our own (12)', async () => {
  await using lab = await SyncLab.start();
  const agent = await settled(lab);
  const { listings } = lab.dataplane;
  await audit(agent);
  await agent.add(sampleSa({ direction: 'inbound', spi: 0x1003 }));
  await agent.engine.handle({ kind: 'add-policy', user: sampleUser({ direction: 'outbound', spi: 0x1002 }) });
  lab.dataplane.refuseNext('addSa', ResultCode.RESULT_CODE_CAPACITY);
  await agent.engine.handle({ kind: 'add-sa', sa: sampleSa({ direction: 'inbound', spi: 0x1005 }) });
  agent.engine.change({ kind: 'delete-sa', id: sampleSa({ direction: 'inbound', spi: 0x1003 }).id });
  await agent.idle();
  await audit(agent);
  assert.equal(lab.dataplane.listings, listings);
  assert.deepEqual(await agent.differences(), []);
});

test('an audit after a change that is not ours lists, and repairs (12)', async () => {
  await using lab = await SyncLab.start();
  const agent = await settled(lab);
  lab.dataplane.loseSa(0x1002);
  await audit(agent);
  assert.deepEqual(agent.engine.status().rekeys, ['outbound esp 00001002 198.18.0.2']);
});

test('such a change is not hidden by our own ones (12)', async () => {
  await using lab = await SyncLab.start();
  const agent = await settled(lab);
  lab.dataplane.loseSa(0x1002);
  await agent.add(sampleSa({ direction: 'inbound', spi: 0x1003 }));
  await audit(agent);
  assert.equal(agent.engine.status().rekeys.length, 1);
});

test('everything is listed now and then, whatever the revision says (12)', async () => {
  await using lab = await SyncLab.start();
  const agent = await settled(lab);
  const { listings } = lab.dataplane;
  lab.dataplane.loseSa(0x1002, false);
  for (let count = 1; count < AUDITS_PER_LISTING; count += 1) await audit(agent);
  assert.equal(lab.dataplane.listings, listings);
  await audit(agent);
  assert.equal(lab.dataplane.listings, listings + 1);
  assert.equal(agent.engine.status().rekeys.length, 1);
});

test('an SA that was moved while it compared is looked at again: a move leaves the rest as it was (12)', async () => {
  await using lab = await SyncLab.start();
  const agent = await settled(lab);
  lab.dataplane.changeSa(0x1001, { reqid: 99 });
  const { id, source } = sampleSa({ direction: 'inbound', spi: 0x1001 });
  const move = { source, destination: '198.18.0.9', udpEncapsulation: undefined, reqid: undefined };
  let moved: Promise<SyncAnswer> | undefined;
  lab.dataplane.onListing = () => {
    moved ??= agent.engine.handle({ kind: 'update-sa', id, move });
  };
  await agent.engine.audit();
  assert.equal((await moved)?.kind, 'ok');
  assert.deepEqual(agent.engine.status().lastCycle, NOTHING);
  await audit(agent);
  assert.deepEqual(await agent.differences(), []);
});

test('an audit that somebody asks for lists everything', async () => {
  await using lab = await SyncLab.start();
  const agent = await settled(lab);
  lab.dataplane.loseSa(0x1002, false);
  await agent.engine.audit();
  assert.equal(agent.engine.status().rekeys.length, 1);
});

test('a deletion that failed is a doubt: the next audit lists (9, 12)', async () => {
  await using lab = await SyncLab.start();
  const agent = await settled(lab);
  lab.dataplane.refuseNext('deleteSa', ResultCode.RESULT_CODE_TEMPORARY);
  agent.engine.change({ kind: 'delete-sa', id: sampleSa({ direction: 'inbound', spi: 0x1001 }).id });
  await agent.idle();
  assert.equal(lab.dataplane.sas.length, 2);
  await agent.until('it is deleted all the same', () => lab.dataplane.sas.length === 1, AUDIT_MS);
});

test('a dataplane without revisions is listed at every audit', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.hasRevisions = false;
  const agent = await settled(lab);
  const { listings } = lab.dataplane;
  await audit(agent);
  await audit(agent);
  assert.equal(lab.dataplane.listings, listings + 2);
});

test('counters are read of everything first, then of what carried packets', async () => {
  await using lab = await SyncLab.start();
  const read: number[][] = [];
  const onUsage = ({ usages }: Usage): number => read.push(usages.map(({ id }) => id.spi));
  const agent = await lab.agent({ usageIntervalMs: 1_000, onUsage });
  await agent.ready();
  await agent.add(
    sampleSa({ direction: 'inbound', spi: 0x1001 }),
    sampleSa({ direction: 'inbound', spi: 0x1003 }),
  );
  const next = async (): Promise<readonly number[] | undefined> => {
    const count = read.length;
    await agent.until('counters are read', () => read.length > count, 1_000);
    return read.at(-1);
  };
  assert.deepEqual(await next(), [0x1001, 0x1003]);
  assert.deepEqual(await next(), []);
  lab.dataplane.receive(0x1003, 5n);
  assert.deepEqual(await next(), [0x1003]);
  assert.deepEqual(await next(), []);
  // A charon that was not there has heard of nothing.
  agent.engine.replaceDesired({ ...EMPTY, sas: [sampleSa({ direction: 'inbound', spi: 0x1001 })] }, INSTANCE);
  await agent.untilReady();
  assert.deepEqual(await next(), [0x1001]);
});
