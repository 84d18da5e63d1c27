import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResultCode } from '../../src/proto/index.ts';
import { saKey, toSpi } from '../../src/sad/index.ts';
import type { SaStory, SyncEngine } from '../../src/sync/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { SyncLab, type TestAgent, WITHOUT_JITTER } from '../support/sync-lab.ts';

const SPI = 0x1001;
const inbound = (spi = SPI) => sampleSa({ direction: 'inbound', spi });
const outbound = (spi = SPI) => sampleSa({ direction: 'outbound', spi });

/** The one story of an SPI. */
function storyOf(engine: SyncEngine, spi = SPI): SaStory {
  const [story, ...others] = engine.explain(toSpi(spi));
  assert.ok(story !== undefined && others.length === 0);
  return story;
}

function kinds({ journal }: SaStory): readonly string[] {
  return journal.map(({ kind }) => kind);
}

async function started(lab: SyncLab): Promise<TestAgent> {
  const agent = await lab.agent(WITHOUT_JITTER);
  await agent.ready();
  return agent;
}

test('tells of both directions and of every peer with an SPI, and of no other', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  const elsewhere = sampleSa({ direction: 'outbound', spi: SPI });
  const third = { ...elsewhere, id: { ...elsewhere.id, destination: '198.18.0.3' } };
  await agent.add(inbound(), outbound(), third, inbound(0x1002));
  assert.deepEqual(
    agent.engine.explain(toSpi(SPI)).map(({ key }) => key),
    [saKey(inbound().id), saKey(outbound().id), saKey(third.id)],
  );
  assert.deepEqual(agent.engine.explain(toSpi(0x1003)), []);
});

test('tells when it was installed, and of its deletion when it is gone', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  await agent.add(inbound());
  await agent.clock.advance(2_000);
  const story = storyOf(agent.engine);
  assert.deepEqual([kinds(story), story.journal[0]?.lastAgoMs], [['installed'], 2_000]);
  agent.engine.change({ kind: 'delete-sa', id: inbound().id });
  await agent.idle();
  const gone = storyOf(agent.engine);
  assert.deepEqual([kinds(gone), gone.desired], [['installed', 'deleted'], undefined]);
});

test('tells why it was refused', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  lab.dataplane.refuseNext('addSa', ResultCode.RESULT_CODE_CAPACITY);
  await agent.engine.handle({ kind: 'add-sa', sa: inbound() });
  const [entry] = storyOf(agent.engine).journal;
  assert.deepEqual([entry?.kind, entry?.detail], ['refused', 'capacity: as the test wants it']);
});

test('tells of a request under way, of one without an answer, and what was read back', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  lab.dataplane.failNext('addSa', { kind: 'hang' });
  const answer = agent.engine.handle({ kind: 'add-sa', sa: inbound() });
  const queued = agent.engine.handle({ kind: 'add-sa', sa: inbound(0x1002) });
  assert.deepEqual(
    [SPI, 0x1002].map((spi) => storyOf(agent.engine, spi).pending.map(({ stage }) => stage)),
    [['in-flight'], ['waiting']],
  );
  await Promise.all([answer, queued]);
  assert.deepEqual(kinds(storyOf(agent.engine)), ['unanswered', 'read-back', 'given-up']);
  assert.deepEqual(storyOf(agent.engine).pending, []);
});

test('tells of a repair that failed, of its reason, and of the next try', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  await agent.add(sampleSa({ direction: 'inbound', spi: SPI, change: { replayWindow: 0 } }));
  lab.dataplane.loseSa(SPI);
  lab.dataplane.refuseNext('addSa');
  await agent.engine.audit();
  const story = storyOf(agent.engine);
  assert.deepEqual(kinds(story), ['installed', 'missing', 'failed']);
  assert.deepEqual(story.repair, { attempts: 1, reason: 'as the test wants it', nextTryInMs: 200 });
  await agent.until('it is back', () => kinds(storyOf(agent.engine)).includes('restored'), 200);
  assert.equal(storyOf(agent.engine).repair, undefined);
});

test('tells of a lost SA whose rekey is asked for, and when again', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  await agent.add(outbound());
  agent.tunnels.children = [
    {
      ...{ name: 'net', childId: '7', ikeId: '1', state: 'INSTALLED', protocol: 'esp' },
      ...{ inboundSpi: toSpi(0x2001), outboundSpi: toSpi(SPI) },
    },
  ];
  lab.dataplane.loseSa(SPI);
  await agent.engine.audit();
  await agent.until('charon was asked', () => agent.tunnels.rekeyed.length > 0, 1);
  const story = storyOf(agent.engine);
  assert.deepEqual(kinds(story), ['installed', 'missing', 'rekey-asked']);
  assert.equal(story.journal.at(-1)?.detail, 'net{7}');
  assert.deepEqual([story.rekey?.reason, story.rekey?.attempts], ['lost', 1]);
});

test('tells of an SA that expired in the dataplane before charon deleted it', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  const sa = inbound();
  await agent.add(sa);
  lab.dataplane.loseSa(SPI);
  agent.engine.dataplaneEvent({ kind: 'expire', id: sa.id, isHard: true, reqid: sa.reqid });
  const story = storyOf(agent.engine);
  assert.deepEqual([story.isExpired, kinds(story)], [true, ['installed', 'hard-expired']]);
  const { expired, operations, rekeys } = await agent.engine.plan();
  assert.deepEqual([expired, operations, rekeys], [[saKey(sa.id)], [], []]);
});

test('plans what a repair would do, in its order, and does none of it', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  const windowless = sampleSa({ direction: 'inbound', spi: SPI, change: { replayWindow: 0 } });
  await agent.add(windowless, outbound(0x1002));
  const user = sampleUser({ direction: 'outbound', spi: 0x1002 });
  await agent.engine.handle({ kind: 'add-policy', user });
  lab.dataplane.loseSa(SPI);
  lab.dataplane.loseSa(0x1002);
  const arrived = lab.dataplane.arrived.length;
  const { diff, operations, rekeys, waiting } = await agent.engine.plan();
  assert.deepEqual(diff.sas.missing, [saKey(windowless.id), saKey(outbound(0x1002).id)]);
  assert.deepEqual(
    operations.map(({ kind }) => kind),
    ['add-sa'],
  );
  assert.deepEqual(rekeys, [{ id: outbound(0x1002).id, attempts: 0, nextTryInMs: 0 }]);
  assert.deepEqual(waiting, []);
  assert.equal(lab.dataplane.arrived.length, arrived);
  assert.deepEqual(agent.tunnels.rekeyed, []);
});

test('plans nothing for an entry in back-off, and says why and until when', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  const windowless = sampleSa({ direction: 'inbound', spi: SPI, change: { replayWindow: 0 } });
  await agent.add(windowless);
  lab.dataplane.loseSa(SPI);
  lab.dataplane.refuseNext('addSa');
  await agent.engine.audit();
  const { operations, waiting } = await agent.engine.plan();
  assert.deepEqual(operations, []);
  assert.deepEqual(waiting, [
    { key: saKey(windowless.id), attempts: 1, reason: 'as the test wants it', nextTryInMs: 200 },
  ]);
});

test('forgets nothing and remembers no more than it must when charon sends another snapshot', async () => {
  await using lab = await SyncLab.start();
  const agent = await started(lab);
  await agent.add(inbound());
  await agent.ready({ sas: [inbound(0x1002)], policyUsers: [] });
  assert.equal(storyOf(agent.engine).desired, undefined);
  assert.deepEqual(kinds(storyOf(agent.engine, 0x1002)).slice(0, 1), ['in-snapshot']);
  assert.equal(kinds(storyOf(agent.engine))[1], 'left');
});
