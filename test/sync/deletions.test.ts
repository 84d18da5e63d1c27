import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SecurityAssociation } from '../../src/sad/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { EMPTY, INSTANCE, SyncLab, type TestAgent } from '../support/sync-lab.ts';

const NEXT_INSTANCE = 'ff'.repeat(16);
const FIRST_SPI = 0x1000;

function inbound(count: number): readonly SecurityAssociation[] {
  return Array.from({ length: count }, (_, index) =>
    sampleSa({ direction: 'inbound', spi: FIRST_SPI + index, change: { replayWindow: 0 } }),
  );
}

/** What an agent before installed for this charon. */
async function install(lab: SyncLab, count: number): Promise<void> {
  await using agent = await lab.agent();
  await agent.ready();
  await agent.add(...inbound(count));
  await agent.engine.handle({
    kind: 'add-policy',
    user: sampleUser({ direction: 'inbound', spi: FIRST_SPI }),
  });
}

/** Lets the engine's time pass until something holds. */
async function passes(agent: TestAgent, what: string, isTrue: () => boolean): Promise<void> {
  for (let step = 0; step < 50 && !isTrue(); step += 1) {
    await agent.clock.advance(500);
    await agent.idle();
  }
  await agent.until(what, isTrue);
}

test('deletes what an older charon installed, however much it is (2)', async () => {
  await using lab = await SyncLab.start();
  await install(lab, 40);
  lab.dataplane.setAges(290_000);
  const agent = await lab.agent();
  await agent.ready(EMPTY, NEXT_INSTANCE, -300_000);
  assert.deepEqual(lab.dataplane.sas, []);
  assert.deepEqual(lab.dataplane.policies, []);
});

test('leaves alone what another charon installs while this one runs', async () => {
  await using lab = await SyncLab.start();
  await install(lab, 2);
  lab.dataplane.setAges(1_000);
  const agent = await lab.agent();
  await agent.ready(EMPTY, NEXT_INSTANCE, -300_000);
  assert.equal(lab.dataplane.sas.length, 2);
  assert.equal(lab.dataplane.policies.length, 1);
  assert.equal(agent.engine.status().withheld.foreign.length, 3);
  assert.equal(agent.engine.status().isInSync, false);
});

test('deletes what the charon before installed at the last moment, when it saw that charon end', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(...inbound(2));
  // Younger than the new charon: the dataplane was slow to take it.
  await agent.ready(EMPTY, NEXT_INSTANCE, -300_000);
  assert.deepEqual(lab.dataplane.sas, []);
});

test('the brake holds what one charon lost sight of, until two complete VICI listings lack it too', async () => {
  await using lab = await SyncLab.start();
  await install(lab, 40);
  const agent = await lab.agent();
  agent.tunnels.isComplete = false;
  await agent.ready(EMPTY, INSTANCE);
  assert.equal(lab.dataplane.sas.length, 40);
  assert.equal(lab.dataplane.policies.length, 1, 'its policies steer traffic into the SAs that stay');
  assert.equal(agent.engine.status().withheld.braked.length, 41);
  await passes(agent, 'VICI was asked', () => agent.tunnels.listings >= 4);
  assert.equal(lab.dataplane.sas.length, 40, 'absence from an incomplete listing is no evidence');
  agent.tunnels.isComplete = true;
  await passes(agent, 'all is deleted', () => lab.dataplane.sas.length === 0);
  await passes(agent, 'nothing is held', () => agent.engine.status().withheld.braked.length === 0);
  await passes(agent, 'the policy is deleted', () => lab.dataplane.policies.length === 0);
});

test('the brake keeps what VICI lists', async () => {
  await using lab = await SyncLab.start();
  await install(lab, 40);
  const agent = await lab.agent();
  const [listed] = inbound(1);
  assert.ok(listed !== undefined);
  agent.tunnels.children = [
    {
      ...{ name: 'net', childId: '1', ikeId: '1', state: 'INSTALLED', protocol: 'esp' },
      inboundSpi: listed.id.spi,
      outboundSpi: undefined,
    },
  ];
  await agent.ready(EMPTY, INSTANCE, 0);
  await passes(agent, 'the rest is deleted', () => lab.dataplane.sas.length === 1);
  assert.equal(lab.dataplane.sas[0]?.id?.spi, listed.id.spi);
});

test('the brake lets a few go, and any number that charon deleted by name', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const sas = inbound(40);
  await agent.add(...sas);
  for (let index = 0; index < sas.length; index += 1) lab.dataplane.refuseNext('deleteSa');
  for (const { id } of sas) agent.engine.change({ kind: 'delete-sa', id });
  await agent.idle();
  assert.equal(lab.dataplane.sas.length, 40);
  await passes(agent, 'all is deleted', () => lab.dataplane.sas.length === 0);
  assert.equal(agent.tunnels.listings, 0);
});

test('a second agent is refused while the first is connected, and takes over when it is gone', async () => {
  await using lab = await SyncLab.start();
  const first = await lab.agent();
  await first.ready();
  const second = await lab.agent();
  second.engine.replaceDesired(EMPTY, INSTANCE);
  await second.until('it was refused', () =>
    /writes and is connected/.test(second.engine.status().reason ?? ''),
  );
  await first.add(...inbound(1));
  await second.clock.advance(10_000);
  assert.equal(second.engine.readiness.kind, 'not-ready');
  assert.equal(lab.dataplane.sas.length, 1);
  await first[Symbol.asyncDispose]();
  await passes(second, 'it is ready', () => second.engine.readiness.kind === 'ready');
  assert.deepEqual(lab.dataplane.sas, []);
});
