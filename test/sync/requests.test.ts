import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResultCode } from '../../src/proto/index.ts';
import { SecretBytes } from '../../src/util/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { INSTANCE, SyncLab } from '../support/sync-lab.ts';

const inbound = (spi: number) => sampleSa({ direction: 'inbound', spi });
const outbound = (spi: number) => sampleSa({ direction: 'outbound', spi });

test('answers an add once it is in the dataplane', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  assert.deepEqual(await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) }), {
    kind: 'ok',
    spi: undefined,
  });
  assert.deepEqual(
    lab.dataplane.sas.map(({ id }) => id?.spi),
    [0x1001],
  );
  assert.equal(agent.engine.status().desiredSas, 1);
});

test('hands out the SPI the dataplane reserved', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const answer = await agent.engine.handle({
    kind: 'reserve-spi',
    protocol: 'esp',
    source: '198.18.0.2',
    destination: '198.18.0.1',
  });
  assert.deepEqual(answer, { kind: 'ok', spi: 0xc0000002 });
});

test('leaves a refused SA out of desired and says why', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.refuseNext('addSa', ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM);
  const sa = inbound(0x1001);
  assert.deepEqual(await agent.engine.handle({ kind: 'add-sa', sa }), {
    kind: 'refused',
    code: 'unsupported-algorithm',
    reason: 'as the test wants it',
  });
  assert.equal(agent.engine.status().desiredSas, 0);
  assert.ok(sa.encryption?.key.isWiped);
});

test('tells a passing refusal from a final one', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.refuseNext('addSa', ResultCode.RESULT_CODE_CAPACITY);
  assert.equal((await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) })).kind, 'try-again');
  lab.dataplane.refuseNext('addSa', ResultCode.RESULT_CODE_TEMPORARY);
  assert.equal((await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) })).kind, 'try-again');
  assert.equal((await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) })).kind, 'ok');
});

test('refuses a key of the wrong length without asking the dataplane', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const encryption = { id: 20, key: new SecretBytes(new Uint8Array(16)) };
  const sa = sampleSa({ direction: 'inbound', spi: 0x1001, change: { encryption } });
  const answer = await agent.engine.handle({ kind: 'add-sa', sa });
  assert.equal(answer.kind === 'refused' ? answer.code : answer.kind, 'invalid');
  assert.deepEqual(lab.dataplane.arrived, []);
});

test('refuses at once what needs a dataplane while there is none', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  const early = await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) });
  assert.equal(early.kind, 'try-again');
  await agent.ready();
  lab.dataplane.stop();
  await agent.untilNotReady();
  const late = await agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) });
  assert.equal(late.kind, 'try-again');
});

test('sends an idle request within the call, and what comes meanwhile as one batch', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const spis = Array.from({ length: 20 }, (_, index) => 0x2000 + index);
  const answers = await Promise.all(
    spis.map((spi) => agent.engine.handle({ kind: 'add-sa', sa: inbound(spi) })),
  );
  assert.ok(answers.every(({ kind }) => kind === 'ok'));
  assert.deepEqual(lab.dataplane.batches, [1, 19]);
  assert.deepEqual(
    lab.dataplane.sas.map(({ id }) => id?.spi),
    spis,
  );
});

test("cuts batches at the dataplane's largest", async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.maxBatch = 8;
  const agent = await lab.agent();
  await agent.ready();
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      agent.engine.handle({ kind: 'add-sa', sa: inbound(0x2000 + index) }),
    ),
  );
  assert.deepEqual(lab.dataplane.batches, [1, 8, 8, 3]);
});

test('undoes in order an add that its caller gave up', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.latencyMs = 20;
  const agent = await lab.agent();
  await agent.ready();
  const first = agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) });
  const second = agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1002) });
  agent.engine.change({ kind: 'delete-sa', id: inbound(0x1002).id });
  assert.equal((await first).kind, 'ok');
  assert.equal((await second).kind, 'ok');
  await agent.idle();
  assert.deepEqual(lab.dataplane.arrived, ['addSa', 'addSa', 'deleteSa']);
  assert.deepEqual(
    lab.dataplane.sas.map(({ id }) => id?.spi),
    [0x1001],
  );
  assert.equal(agent.engine.status().desiredSas, 1);
});

test('takes back a request whose signal aborts before it was sent', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.latencyMs = 20;
  const agent = await lab.agent();
  await agent.ready();
  const first = agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) });
  const stop = new AbortController();
  const second = agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1002) }, { signal: stop.signal });
  stop.abort();
  assert.equal((await second).kind, 'try-again');
  await first;
  assert.deepEqual(lab.dataplane.arrived, ['addSa']);
});

test('bounds the requests that wait', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.latencyMs = 20;
  const agent = await lab.agent({ maxWaiting: 2 });
  await agent.ready();
  const answers = await Promise.all(
    [1, 2, 3, 4].map((spi) => agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1000 + spi) })),
  );
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ['ok', 'ok', 'ok', 'try-again'],
  );
});

test('moves an SA and follows it under its new key', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(outbound(0x1001));
  const move = {
    source: '198.18.0.1',
    destination: '198.18.0.9',
    udpEncapsulation: { sourcePort: 4500, destinationPort: 31_000 },
    reqid: undefined,
  };
  const { id } = outbound(0x1001);
  assert.equal((await agent.engine.handle({ kind: 'update-sa', id, move })).kind, 'ok');
  assert.equal((await agent.engine.handle({ kind: 'update-sa', id, move })).kind, 'refused');
  assert.deepEqual(await agent.engine.audit(), { added: 0, updated: 0, deleted: 0, failed: 0, unknown: 0 });
  assert.deepEqual(await agent.differences(), []);
});

test('switches a shared policy to its newest user and back to the one before', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const spiInUse = (): number | undefined => lab.dataplane.policies[0]?.templates[0]?.spi;
  const [first, second] = [0x1001, 0x1002].map((spi) => sampleUser({ direction: 'outbound', spi }));
  assert.ok(first !== undefined && second !== undefined);
  assert.equal((await agent.engine.handle({ kind: 'add-policy', user: first })).kind, 'ok');
  assert.equal((await agent.engine.handle({ kind: 'add-policy', user: second })).kind, 'ok');
  assert.equal(spiInUse(), 0x1002);
  agent.engine.change({ kind: 'delete-policy', user: second });
  await agent.idle();
  assert.equal(spiInUse(), 0x1001);
  agent.engine.change({ kind: 'delete-policy', user: first });
  await agent.idle();
  assert.deepEqual(lab.dataplane.policies, []);
});

test('asks nothing of the dataplane for a user that is not in effect', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const trap = sampleUser({ direction: 'outbound', change: { priorityClass: 'routed' } });
  await agent.engine.handle({ kind: 'add-policy', user: sampleUser({ direction: 'outbound', spi: 0x1001 }) });
  assert.equal((await agent.engine.handle({ kind: 'add-policy', user: trap })).kind, 'ok');
  assert.deepEqual(lab.dataplane.arrived, ['putPolicy']);
});

test('keeps the user before when a switch is refused', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const [first, second] = [0x1001, 0x1002].map((spi) => sampleUser({ direction: 'outbound', spi }));
  assert.ok(first !== undefined && second !== undefined);
  await agent.engine.handle({ kind: 'add-policy', user: first });
  lab.dataplane.refuseNext('putPolicy', ResultCode.RESULT_CODE_INVALID);
  assert.equal((await agent.engine.handle({ kind: 'add-policy', user: second })).kind, 'refused');
  assert.deepEqual(await agent.differences(), []);
});

test('counts forward policies and never sends them', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const user = sampleUser({ direction: 'forward', spi: 0x1001 });
  agent.engine.change({ kind: 'add-policy', user });
  await agent.idle();
  assert.equal(agent.engine.status().forwardPolicies, 1);
  agent.engine.change({ kind: 'delete-policy', user });
  await agent.idle();
  assert.equal(agent.engine.status().forwardPolicies, 0);
  assert.deepEqual(lab.dataplane.arrived, []);
});

test('answers at once what follows a request that needs nothing of the dataplane', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const user = sampleUser({ direction: 'forward', spi: 0x1001 });
  const answers = await Promise.all([
    agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1001) }),
    agent.engine.handle({ kind: 'add-policy', user }),
    agent.engine.handle({ kind: 'add-policy', user }),
  ]);
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ['ok', 'ok', 'ok'],
  );
});

test('installs a shunt charon did not wait for, however often it takes', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.refuseNext('putPolicy', ResultCode.RESULT_CODE_TEMPORARY);
  const user = sampleUser({ direction: 'outbound', action: { kind: 'bypass' } });
  agent.engine.change({ kind: 'add-policy', user });
  await agent.idle();
  assert.equal(lab.dataplane.policies.length, 0);
  await agent.until('it is there', () => lab.dataplane.policies.length === 1, 200);
  assert.equal(agent.engine.status().desiredPolicies, 1);
  agent.engine.change({ kind: 'delete-policy', user });
  await agent.until('it is gone', () => lab.dataplane.policies.length === 0);
  assert.equal(agent.engine.status().desiredPolicies, 0);
});

test('takes an SA back to where it was, whenever the dataplane can', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const { id, source } = inbound(0x1001);
  await agent.add(inbound(0x1001));
  const move = { source, destination: '198.18.0.9', udpEncapsulation: undefined, reqid: undefined };
  await agent.engine.handle({ kind: 'update-sa', id, move });
  lab.dataplane.refuseNext('updateSa', ResultCode.RESULT_CODE_TEMPORARY);
  const back = { ...move, destination: id.destination };
  agent.engine.change({ kind: 'update-sa', id: { ...id, destination: move.destination }, move: back });
  await agent.idle();
  assert.equal(agent.engine.desired().sas[0]?.id.destination, id.destination);
  await agent.until('it is back', () => agent.engine.status().isInSync, 200);
  assert.deepEqual(await agent.differences(), []);
});

test('retries a failed deletion with back-off, and lets nothing wait for it', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(inbound(0x1001));
  for (let count = 0; count < 3; count++) {
    lab.dataplane.refuseNext('deleteSa', ResultCode.RESULT_CODE_TEMPORARY);
  }
  agent.engine.change({ kind: 'delete-sa', id: inbound(0x1001).id });
  await agent.idle();
  assert.equal(agent.engine.status().repairs[0]?.attempts, 1);
  assert.equal(agent.engine.status().isInSync, false);
  await agent.add(inbound(0x1002));
  await agent.until('it failed again', () => agent.engine.status().repairs[0]?.attempts === 2, 200);
  await agent.until('it failed a third time', () => agent.engine.status().repairs[0]?.attempts === 3, 400);
  await agent.until('it succeeded', () => agent.engine.status().isInSync, 800);
  assert.deepEqual(
    lab.dataplane.sas.map(({ id }) => id?.spi),
    [0x1002],
  );
});

test('does not forget what failed while it compared, and left that out', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(inbound(0x1001));
  lab.dataplane.refuseNext('deleteSa', ResultCode.RESULT_CODE_TEMPORARY);
  agent.engine.change({ kind: 'delete-sa', id: inbound(0x1001).id });
  await agent.engine.audit();
  assert.equal(agent.engine.status().repairs[0]?.attempts, 1);
  assert.equal(agent.engine.status().isInSync, false);
  await agent.until('it is gone', () => lab.dataplane.sas.length === 0, 200);
});

test('goes on with a failed deletion when a request on the same entry is refused', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(outbound(0x1001));
  lab.dataplane.refuseNext('deleteSa', ResultCode.RESULT_CODE_TEMPORARY);
  agent.engine.change({ kind: 'delete-sa', id: outbound(0x1001).id });
  const sa = sampleSa({ direction: 'outbound', spi: 0x1001, keyByte: 9 });
  assert.equal((await agent.engine.handle({ kind: 'add-sa', sa })).kind, 'try-again');
  await agent.until('it is gone', () => lab.dataplane.sas.length === 0);
});

test('looks again when the request that overtook an unanswered one is refused (5)', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.failNext('putPolicy', { kind: 'cut', isApplied: true });
  lab.dataplane.refuseNext('putPolicy', ResultCode.RESULT_CODE_TEMPORARY);
  const answers = await Promise.all(
    [1, 2].map((reqid) =>
      agent.engine.handle({ kind: 'add-policy', user: sampleUser({ direction: 'inbound', reqid }) }),
    ),
  );
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ['try-again', 'try-again'],
  );
  await agent.until('what the first one left is gone', () => lab.dataplane.policies.length === 0);
});

test('flushes everything and nothing that came after', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(inbound(0x1001), outbound(0x1002));
  agent.engine.change({ kind: 'flush-sas' });
  await agent.add(inbound(0x1003));
  await agent.until('the rest is gone', () => lab.dataplane.sas.length === 1);
  assert.equal(lab.dataplane.sas[0]?.id?.spi, 0x1003);
});

test('a flush in the middle of a repair sends nothing of what it flushed', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.latencyMs = 5;
  const agent = await lab.agent({ backgroundBatch: 1 });
  const sas = [1, 2, 3, 4].map((spi) =>
    sampleSa({ direction: 'inbound', spi: 0x1000 + spi, change: { replayWindow: 0 } }),
  );
  agent.engine.replaceDesired({ sas, policyUsers: [] }, INSTANCE);
  await agent.until('the repair has begun', () => lab.dataplane.arrived.length > 0);
  agent.engine.change({ kind: 'flush-sas' });
  await agent.until(
    'nothing is left',
    () => agent.engine.status().isInSync && lab.dataplane.sas.length === 0,
  );
  assert.ok(lab.dataplane.arrived.filter((kind) => kind === 'addSa').length < sas.length);
});
