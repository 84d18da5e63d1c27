import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saKey } from '../../src/sad/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { EMPTY, SyncLab } from '../support/sync-lab.ts';

const NOTHING = { added: 0, updated: 0, deleted: 0, failed: 0, unknown: 0 };

/** Fresh objects each time: an engine owns and wipes the keys it is given. */
function tunnel(spi: number) {
  return {
    sas: [sampleSa({ direction: 'inbound', spi }), sampleSa({ direction: 'outbound', spi: spi + 1 })],
    policyUsers: [
      sampleUser({ direction: 'inbound', spi }),
      sampleUser({ direction: 'outbound', spi: spi + 1 }),
      sampleUser({ direction: 'forward', spi }),
    ],
  };
}

async function install(lab: SyncLab, spi: number): Promise<void> {
  await using agent = await lab.agent();
  await agent.ready();
  const { sas, policyUsers } = tunnel(spi);
  await agent.add(...sas);
  for (const user of policyUsers) await agent.engine.handle({ kind: 'add-policy', user });
}

test('a restarted agent applies nothing when both sides are equal', async () => {
  await using lab = await SyncLab.start();
  await install(lab, 0x1000);
  lab.dataplane.arrived.length = 0;
  const agent = await lab.agent();
  await agent.ready(tunnel(0x1000));
  assert.deepEqual(lab.dataplane.arrived, []);
  assert.deepEqual(agent.engine.status().lastCycle, NOTHING);
  assert.equal(agent.engine.status().counters.operations, 0);
  assert.deepEqual(await agent.differences(), []);
});

test('an agent killed between IN and OUT removes what charon gave up', async () => {
  await using lab = await SyncLab.start();
  await install(lab, 0x1000);
  const agent = await lab.agent();
  // charon was told that OUT failed, and took IN back.
  await agent.ready(EMPTY);
  assert.deepEqual(lab.dataplane.sas, []);
  assert.deepEqual(lab.dataplane.policies, []);
});

test('deletes nothing before the first snapshot, and does not take the role of a writer', async () => {
  await using lab = await SyncLab.start();
  await install(lab, 0x1000);
  const before = lab.dataplane.acquisitions;
  const agent = await lab.agent();
  await agent.until('it is connected', () => agent.engine.status().link === 'no-snapshot');
  await assert.rejects(agent.engine.audit(), /no snapshot of charon yet/);
  assert.equal(lab.dataplane.acquisitions, before);
  assert.equal(lab.dataplane.sas.length, 2);
});

test("a new charon's snapshot removes what the one before had", async () => {
  await using lab = await SyncLab.start();
  await install(lab, 0x1000);
  const agent = await lab.agent();
  await agent.ready(EMPTY, 'ff'.repeat(16));
  assert.deepEqual(lab.dataplane.sas, []);
  assert.equal(agent.engine.status().charonInstanceId, 'ff'.repeat(16));
});

test("touches no other owner's entries", async () => {
  await using lab = await SyncLab.start();
  const other = await lab.agent({}, 'other');
  await other.ready();
  await other.add(sampleSa({ direction: 'inbound', spi: 0x1000 }));
  const agent = await lab.agent();
  await agent.ready();
  assert.equal(lab.dataplane.sas.length, 1);
  assert.deepEqual(await agent.differences(), []);
});

test('shows differences without changing anything, and repairs them when asked', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const { sas, policyUsers } = tunnel(0x1000);
  await agent.add(...sas);
  for (const user of policyUsers) await agent.engine.handle({ kind: 'add-policy', user });
  lab.dataplane.loseSa(0x1001);
  lab.dataplane.changeSa(0x1000, { reqid: 7 });
  lab.dataplane.arrived.length = 0;
  const [inbound, outbound] = sas;
  assert.ok(inbound !== undefined && outbound !== undefined);
  assert.deepEqual(await agent.engine.diff(), {
    sas: {
      missing: [saKey(outbound.id)],
      unexpected: [],
      different: [{ key: saKey(inbound.id), fields: ['reqid'] }],
    },
    policies: { missing: [], unexpected: [], different: [] },
  });
  assert.deepEqual(lab.dataplane.arrived, []);
  assert.deepEqual(await agent.engine.audit(), { ...NOTHING, updated: 1 });
  assert.deepEqual(lab.dataplane.arrived, ['updateSa']);
  assert.deepEqual(agent.engine.status().rekeys, [saKey(outbound.id)]);
});

test('moves an SA back that a half move left at its new address', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(sampleSa({ direction: 'outbound', spi: 0x1000 }));
  lab.dataplane.moveSa(0x1000, '198.18.0.9');
  assert.deepEqual(await agent.engine.audit(), { ...NOTHING, updated: 1 });
  assert.deepEqual(await agent.differences(), []);
});

test('an SA that holds another key goes, and a rekey brings the right one', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(
    sampleSa({ direction: 'inbound', spi: 0x1000 }),
    sampleSa({ direction: 'outbound', spi: 0x1001 }),
  );
  lab.dataplane.receive(0x1000, 4_711n);
  await agent.engine.audit();
  lab.dataplane.changeSa(0x1000, { encryptionKey: Buffer.alloc(20, 9) });
  lab.dataplane.changeSa(0x1001, { encryptionKey: Buffer.alloc(20, 9) });
  lab.dataplane.arrived.length = 0;
  await agent.engine.audit();
  // Its replay state is the other key's: not for the inbound one to start with.
  assert.deepEqual(lab.dataplane.arrived, ['deleteSa', 'deleteSa']);
  assert.deepEqual(
    (await agent.differences()).map(({ kind }) => kind),
    ['missing', 'missing'],
  );
  assert.equal(agent.engine.status().rekeys.length, 2);
});

test('compares again at its interval, and after events were lost', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent({ auditIntervalMs: 30_000 });
  await agent.ready();
  const cycles = (): number => agent.engine.status().counters.cycles;
  assert.equal(cycles(), 1);
  await agent.until('the interval is over', () => cycles() === 2, 30_000);
  lab.dataplane.emit({ gap: {} });
  await agent.until('a gap was seen', () => cycles() === 3);
});

test('a request goes ahead of a repair and is left alone by it', async () => {
  await using lab = await SyncLab.start();
  await install(lab, 0x1000);
  lab.dataplane.arrived.length = 0;
  const agent = await lab.agent({ backgroundBatch: 1 });
  agent.engine.replaceDesired(EMPTY, '00'.repeat(16));
  await agent.until('the writer role is taken', () => agent.engine.status().link === 'up');
  const sa = sampleSa({ direction: 'inbound', spi: 0x1000 });
  const answer = await agent.engine.handle({ kind: 'add-sa', sa });
  assert.equal(answer.kind, 'ok');
  await agent.untilReady();
  assert.deepEqual(await agent.differences(), []);
});

test('takes the role of the writer back once, as a late call may have fenced it, and steps back then', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const answerWhenFenced = async (): Promise<string> => {
    lab.dataplane.fence('test');
    const sa = sampleSa({ direction: 'inbound', spi: 0x1000 });
    return (await agent.engine.handle({ kind: 'add-sa', sa })).kind;
  };
  assert.equal(await answerWhenFenced(), 'try-again');
  await agent.until('the role is taken back', () => agent.engine.status().link === 'up');
  assert.equal(await answerWhenFenced(), 'try-again');
  assert.equal(agent.engine.status().link, 'fenced');
  assert.equal(agent.engine.readiness.kind, 'not-ready');
  // A snapshot proves that charon talks to us and not to the other one.
  await agent.ready();
});

test('says that it is ready only after it has compared, and what charon needs to know', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  assert.equal(agent.engine.readiness.kind, 'not-ready');
  await agent.ready();
  assert.deepEqual(agent.engine.readiness, { kind: 'ready', routeInterface: 'fake0', ackLatencyUs: 100 });
  assert.equal(lab.dataplane.listings, 1);
  lab.dataplane.stop();
  await agent.untilNotReady();
  assert.deepEqual(agent.readiness.at(-1)?.kind, 'not-ready');
});

test('tells who asked that a comparison failed, and tries again with back-off', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  lab.dataplane.cutsListings = true;
  await assert.rejects(agent.engine.audit(), { code: 'malformed' });
  await assert.rejects(agent.engine.diff(), { code: 'malformed' });
  lab.dataplane.cutsListings = false;
  const cycles = (): number => agent.engine.status().counters.cycles;
  assert.equal(cycles(), 1);
  await agent.until('it compared again', () => cycles() === 2, 200);
});
