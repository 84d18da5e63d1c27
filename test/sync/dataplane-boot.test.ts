import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Feature } from '../../src/proto/index.ts';
import { toSpi } from '../../src/sad/index.ts';
import type { ChildSaView } from '../../src/sync/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { EMPTY, SyncLab, type TestAgent } from '../support/sync-lab.ts';

const child = (state: string): ChildSaView => ({
  name: 'net',
  childId: '5',
  ikeId: '1',
  state,
  protocol: 'esp',
  inboundSpi: toSpi(0x1001),
  outboundSpi: toSpi(0x1002),
});

async function install(agent: TestAgent): Promise<void> {
  await agent.ready();
  await agent.add(
    sampleSa({ direction: 'inbound', spi: 0x1001 }),
    sampleSa({ direction: 'outbound', spi: 0x1002 }),
  );
  for (const direction of ['inbound', 'outbound'] as const) {
    const spi = direction === 'inbound' ? 0x1001 : 0x1002;
    await agent.engine.handle({ kind: 'add-policy', user: sampleUser({ direction, spi }) });
  }
}

async function reboot(lab: SyncLab, agent: TestAgent): Promise<void> {
  lab.dataplane.arrived.length = 0;
  await lab.dataplane.restart();
  await agent.until(
    'the agent saw the new boot',
    () => agent.engine.status().bootId === lab.dataplane.bootId,
  );
  await agent.untilReady();
}

test('after a boot policies come first, and the outbound SA only by a rekey (3, 4)', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await install(agent);
  lab.dataplane.receive(0x1001, 4_711n);
  await agent.engine.audit();
  agent.tunnels.children = [child('INSTALLED')];
  await reboot(lab, agent);
  assert.deepEqual(lab.dataplane.arrived, ['putPolicy', 'putPolicy', 'addSa']);
  const [inbound] = lab.dataplane.sas;
  assert.equal(inbound?.id?.spi, 0x1001);
  assert.equal(inbound?.replayState?.highestSequence, 4_711n);
  await agent.until('charon was asked', () => agent.tunnels.rekeyed.length === 1, 1);
  assert.equal(agent.engine.status().isInSync, false);
});

test('an inbound SA whose replay state is not known is rekeyed, both directions at once (4)', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await install(agent);
  // Between its installation and the boot nobody read the replay state.
  agent.engine.dataplaneEvent({ kind: 'gap' });
  lab.dataplane.features = lab.dataplane.features.filter(
    (feature) => feature !== Feature.FEATURE_REPLAY_STATE,
  );
  agent.tunnels.children = [child('INSTALLED')];
  await reboot(lab, agent);
  assert.deepEqual(lab.dataplane.sas, []);
  assert.equal(agent.engine.status().rekeys.length, 2);
  await agent.until('charon was asked', () => agent.tunnels.rekeyed.length > 0, 1);
  assert.deepEqual(agent.tunnels.rekeyed, ['5']);
});

test('asks again with back-off, and never for a CHILD_SA whose rekey is under way (4)', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await install(agent);
  agent.tunnels.children = [child('REKEYING')];
  await reboot(lab, agent);
  await agent.until('charon was looked at', () => agent.tunnels.listings === 1, 1);
  assert.deepEqual(agent.tunnels.rekeyed, []);
  agent.tunnels.children = [child('INSTALLED')];
  await agent.until('it was asked', () => agent.tunnels.rekeyed.length === 1, 5_000);
  await agent.clock.advance(5_000);
  assert.equal(agent.tunnels.rekeyed.length, 1);
  await agent.until('it was asked again', () => agent.tunnels.rekeyed.length === 2, 1_000);
  // charon rekeyed: the new SA is added, the old one is deleted.
  await agent.add(sampleSa({ direction: 'outbound', spi: 0x2002 }));
  agent.engine.change({ kind: 'delete-sa', id: sampleSa({ direction: 'outbound', spi: 0x1002 }).id });
  await agent.idle();
  assert.ok(!agent.engine.status().rekeys.some((key) => key.includes('00001002')));
});

test('tries again when charon cannot be asked', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await install(agent);
  agent.tunnels.isDown = true;
  agent.tunnels.children = [child('INSTALLED')];
  await reboot(lab, agent);
  await agent.clock.advance(1);
  agent.tunnels.isDown = false;
  await agent.until('it was asked', () => agent.tunnels.rekeyed.length === 1, 5_000);
});

test('an SA whose hard lifetime ended is neither reinstalled nor rekeyed', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await install(agent);
  const { id } = sampleSa({ direction: 'outbound', spi: 0x1002 });
  agent.engine.dataplaneEvent({
    kind: 'expire',
    id,
    isHard: true,
    reqid: sampleSa({ direction: 'outbound', spi: 0x1002 }).reqid,
  });
  lab.dataplane.loseSa(0x1002);
  await agent.engine.audit();
  assert.deepEqual(agent.engine.status().rekeys, []);
  // charon should have deleted it long ago: it did not hear.
  await agent.until('it is missed', () => agent.engine.status().rekeys.length === 1, 10_000);
});

test('forgets what charon no longer has', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await install(agent);
  const { id, reqid } = sampleSa({ direction: 'outbound', spi: 0x1002 });
  agent.engine.dataplaneEvent({ kind: 'sequence-overflow', id, reqid });
  assert.equal(agent.engine.status().rekeys.length, 1);
  await agent.ready(EMPTY, 'ff'.repeat(16));
  assert.deepEqual(agent.engine.status().rekeys, []);
});

test('rekeys the CHILD_SAs of all peers that drew the SPI', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await install(agent);
  const other = { ...child('INSTALLED'), childId: '6', ikeId: '2', inboundSpi: toSpi(0x1003) };
  agent.tunnels.children = [child('INSTALLED'), other];
  lab.dataplane.loseSa(0x1002);
  await agent.engine.audit();
  await agent.until('both were asked for', () => agent.tunnels.rekeyed.length === 2, 1);
  assert.deepEqual(agent.tunnels.rekeyed, ['5', '6']);
});

test('an inbound SA with ESN is never installed again without its replay state (4)', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await agent.add(
    sampleSa({ direction: 'inbound', spi: 0x1001, change: { esn: true, replayWindow: 0 } }),
    sampleSa({ direction: 'inbound', spi: 0x1002, change: { replayWindow: 0 } }),
  );
  await reboot(lab, agent);
  assert.deepEqual(
    lab.dataplane.sas.map(({ id }) => id?.spi),
    [0x1002],
  );
  assert.equal(agent.engine.status().rekeys.length, 1);
});

test('an outbound SA without sequence numbers is rekeyed', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await install(agent);
  agent.tunnels.children = [child('INSTALLED')];
  const { id, reqid } = sampleSa({ direction: 'outbound', spi: 0x1002 });
  agent.engine.dataplaneEvent({ kind: 'sequence-overflow', id, reqid });
  await agent.until('it was asked', () => agent.tunnels.rekeyed.length === 1, 1);
});
