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
  await agent.until('it was read back', () => agent.engine.status().counters.cycles === 2);
  await agent.until('it is gone', () => lab.dataplane.sas.length === 0, 200);
});

test('an operation that never gets an answer backs off and holds nobody else up', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent({ applyDeadlineMs: 30 });
  await agent.ready();
  await agent.add(inbound(0x1001));
  for (let count = 0; count < 3; count++) lab.dataplane.failNext('deleteSa', { kind: 'hang' });
  agent.engine.change({ kind: 'delete-sa', id: inbound(0x1001).id });
  const failures = (): number | undefined => agent.engine.status().repairs[0]?.attempts;
  await agent.until('it failed', () => failures() === 1);
  await agent.add(inbound(0x1002));
  await agent.until('it failed again', () => failures() === 2, 200);
  await agent.until('it failed a third time', () => failures() === 3, 400);
  await agent.until('it is gone', () => lab.dataplane.sas.length === 1, 800);
  assert.equal(lab.dataplane.arrived.filter((kind) => kind === 'deleteSa').length, 4);
});

test('a dataplane that says it is slow is given the time', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.ackLatencyUs = 400_000;
  const agent = await lab.agent({ applyDeadlineMs: 30 });
  await agent.ready();
  lab.dataplane.failNext('addSa', { kind: 'hang' });
  const startedMs = performance.now();
  assert.equal((await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) })).kind, 'try-again');
  const waitedMs = performance.now() - startedMs;
  assert.ok(waitedMs >= 2.4 * 400, `given up after ${waitedMs} ms`);
});

test('a user that changes nothing is still sent while nobody knows what the dataplane holds', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const [first, second] = [0x1001, 0x1002].map((spi) => sampleUser({ direction: 'outbound', spi }));
  assert.ok(first !== undefined && second !== undefined);
  await agent.engine.handle({ kind: 'add-policy', user: first });
  await agent.engine.handle({ kind: 'add-policy', user: second });
  lab.dataplane.failNext('putPolicy', notApplied);
  agent.engine.change({ kind: 'delete-policy', user: second });
  const trap = sampleUser({ direction: 'outbound', change: { priorityClass: 'routed' } });
  assert.equal((await agent.engine.handle({ kind: 'add-policy', user: trap })).kind, 'ok');
  assert.equal(lab.dataplane.policies[0]?.templates[0]?.spi, 0x1001);
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
