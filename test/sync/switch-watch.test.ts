import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResultCode } from '../../src/proto/index.ts';
import { toSpi } from '../../src/sad/index.ts';
import type { ChildSaView } from '../../src/sync/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { SyncLab } from '../support/sync-lab.ts';

const child = (state: string): ChildSaView => ({
  name: 'net',
  childId: '5',
  ikeId: '1',
  state,
  protocol: 'esp',
  inboundSpi: toSpi(0x1001),
  outboundSpi: toSpi(0x1002),
});

async function refuseSwitch(lab: SyncLab, spi: number | undefined) {
  const agent = await lab.agent();
  await agent.ready();
  agent.tunnels.children = [child('INSTALLED')];
  lab.dataplane.refuseNext('putPolicy', ResultCode.RESULT_CODE_INVALID);
  const user = sampleUser({ direction: 'outbound', spi });
  assert.equal((await agent.engine.handle({ kind: 'add-policy', user })).kind, 'refused');
  return agent;
}

test('ends a CHILD_SA that charon keeps although its switch was refused', async () => {
  await using lab = await SyncLab.start();
  const agent = await refuseSwitch(lab, 0x1002);
  await agent.clock.advance(1_999);
  assert.deepEqual(agent.tunnels.terminated, []);
  await agent.clock.advance(1);
  assert.deepEqual(agent.tunnels.terminated, ['5']);
  assert.equal(agent.engine.status().counters.terminated, 1);
  await agent.clock.advance(10_000);
  assert.deepEqual(agent.tunnels.terminated, ['5']);
});

test('leaves a CHILD_SA alone that charon gave up itself', async () => {
  await using lab = await SyncLab.start();
  const agent = await refuseSwitch(lab, 0x1002);
  agent.tunnels.children = [child('DELETING')];
  await agent.clock.advance(10_000);
  assert.deepEqual(agent.tunnels.terminated, []);
});

test('looks again when the IKE_SA was busy or VICI was away', async () => {
  await using lab = await SyncLab.start();
  const agent = await refuseSwitch(lab, 0x1002);
  agent.tunnels.isDown = true;
  await agent.clock.advance(2_000);
  agent.tunnels.isDown = false;
  await agent.clock.advance(1_000);
  assert.deepEqual(agent.tunnels.terminated, ['5']);
});

test('a refused trap ends nothing', async () => {
  await using lab = await SyncLab.start();
  const agent = await refuseSwitch(lab, undefined);
  await agent.clock.advance(10_000);
  assert.equal(agent.tunnels.listings, 0);
});

test('ends a CHILD_SA whose switch failed while no agent was there', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  agent.tunnels.children = [child('INSTALLED')];
  await agent.ready({
    sas: [sampleSa({ direction: 'outbound', spi: 0x1002 }), sampleSa({ direction: 'outbound', spi: 0x2002 })],
    policyUsers: [
      sampleUser({ direction: 'inbound', spi: 0x1001 }),
      sampleUser({ direction: 'outbound', spi: 0x2002 }),
    ],
  });
  await agent.clock.advance(2_000);
  assert.deepEqual(agent.tunnels.terminated, ['5']);
});

test('leaves a CHILD_SA alone that has no policies at all, and one whose policy came after all', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  agent.tunnels.children = [child('INSTALLED')];
  const sas = () => [sampleSa({ direction: 'outbound', spi: 0x1002 })];
  await agent.ready({ sas: sas(), policyUsers: [] });
  await agent.clock.advance(10_000);
  const inbound = sampleUser({ direction: 'inbound', spi: 0x1001 });
  await agent.ready({ sas: sas(), policyUsers: [inbound] });
  const user = sampleUser({ direction: 'outbound', spi: 0x1002 });
  assert.equal((await agent.engine.handle({ kind: 'add-policy', user })).kind, 'ok');
  await agent.clock.advance(10_000);
  assert.deepEqual(agent.tunnels.terminated, []);
});
