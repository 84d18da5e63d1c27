import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { SyncLab } from '../support/sync-lab.ts';

const inbound = (spi: number) => sampleSa({ direction: 'inbound', spi });
const applied = { kind: 'cut', isApplied: true } as const;
const notApplied = { kind: 'cut', isApplied: false } as const;

test('reads back an add without an answer, and answers by what is there (6)', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.failNext('addSa', applied);
  assert.equal((await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) })).kind, 'ok');
  lab.dataplane.failNext('addSa', notApplied);
  const sa = inbound(0x1002);
  assert.equal((await agent.engine.handle({ kind: 'add-sa', sa })).kind, 'try-again');
  assert.ok(sa.encryption?.key.isWiped);
  assert.equal(agent.engine.status().desiredSas, 1);
  assert.deepEqual(await agent.differences(), []);
});

test('reads back a policy and a move without an answer (6)', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const user = sampleUser({ direction: 'outbound', spi: 0x1001 });
  lab.dataplane.failNext('putPolicy', applied);
  assert.equal((await agent.engine.handle({ kind: 'add-policy', user })).kind, 'ok');
  await agent.add(inbound(0x1001));
  const { id } = inbound(0x1001);
  const move = {
    source: '198.18.0.9',
    destination: id.destination,
    udpEncapsulation: undefined,
    reqid: undefined,
  };
  lab.dataplane.failNext('updateSa', applied);
  assert.equal((await agent.engine.handle({ kind: 'update-sa', id, move })).kind, 'ok');
  const back = { ...move, source: '198.18.0.2' };
  lab.dataplane.failNext('updateSa', notApplied);
  assert.equal((await agent.engine.handle({ kind: 'update-sa', id, move: back })).kind, 'try-again');
  assert.deepEqual(await agent.differences(), []);
});

test('a late add is fenced: it never takes effect after it was answered (6)', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.failNext('addSa', { kind: 'hang' });
  assert.equal((await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) })).kind, 'try-again');
  lab.dataplane.release();
  assert.deepEqual(lab.dataplane.sas, []);
  assert.deepEqual(await agent.differences(), []);
});

test('requests go on after an ambiguous one, in order', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.failNext('addSa', notApplied);
  const lost = agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) });
  const next = agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1002) });
  agent.engine.change({ kind: 'delete-sa', id: inbound(0x1001).id });
  assert.equal((await lost).kind, 'try-again');
  assert.equal((await next).kind, 'ok');
  await agent.idle();
  assert.deepEqual(await agent.differences(), []);
  assert.equal(agent.readiness.filter(({ kind }) => kind === 'ready').length, 1, 'readiness does not flap');
});

test('a deletion without an answer is repeated', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(inbound(0x1001));
  lab.dataplane.failNext('deleteSa', notApplied);
  agent.engine.change({ kind: 'delete-sa', id: inbound(0x1001).id });
  await agent.until('it is gone', () => lab.dataplane.sas.length === 0);
});

test('an add that was cut off with the dataplane is answered, and undone when it comes back', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.failNext('addSa', { kind: 'hang' });
  const answer = agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) });
  await agent.until('it arrived', () => lab.dataplane.arrived.length === 1);
  lab.dataplane.release();
  lab.dataplane.stop();
  assert.equal((await answer).kind, 'try-again');
  assert.equal(lab.dataplane.sas.length, 1);
  await lab.dataplane.start();
  await agent.untilReady();
  assert.deepEqual(lab.dataplane.sas, []);
});
