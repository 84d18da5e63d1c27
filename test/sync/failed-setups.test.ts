import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY, INSTANCE, SyncLab, type TestAgent, WITHOUT_JITTER } from '../support/sync-lab.ts';

const NET = { ike: 'gw', child: 'net' };
const PASSING = { isPassing: true, reason: 'capacity: full' };
/** Longer than the delay before the first initiation, shorter than to the second one. */
const FIRST_DELAY_MS = 1_300;

/** An engine whose charon has an IKE_SA without CHILD_SAs. */
async function startAgent(lab: SyncLab): Promise<TestAgent> {
  const agent = await lab.agent(WITHOUT_JITTER);
  agent.tunnels.ikeSas = new Map([[NET.ike, [{ isSettingUp: false, states: {} }]]]);
  return agent;
}

test('shows a setup that failed and counts its initiations; it is no difference to charon (11)', async () => {
  await using lab = await SyncLab.start();
  const agent = await startAgent(lab);
  await agent.ready();
  agent.engine.setupFailed(NET, PASSING);
  const [waiting] = agent.engine.status().setups;
  assert.deepEqual([waiting?.ike, waiting?.child, waiting?.reason], ['gw', 'net', 'capacity: full']);
  await agent.until('charon was asked', () => agent.tunnels.initiated.length === 1, FIRST_DELAY_MS);
  assert.deepEqual(agent.tunnels.initiated, [NET]);
  const { isInSync, counters } = agent.engine.status();
  assert.equal(isInSync, true);
  assert.equal(counters.initiationsAsked, 1);
});

test('a setup that failed for good is not initiated (11)', async () => {
  await using lab = await SyncLab.start();
  const agent = await startAgent(lab);
  await agent.ready();
  agent.engine.setupFailed(NET, PASSING);
  agent.engine.setupFailed(NET, { isPassing: false, reason: 'unsupported-algorithm: no' });
  assert.deepEqual(agent.engine.status().setups, []);
  await agent.clock.advance(600_000);
  assert.deepEqual(agent.tunnels.initiated, []);
});

test('initiates nothing before the dataplane is ready, nor while it is away (11)', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.stop();
  const agent = await startAgent(lab);
  agent.engine.replaceDesired(EMPTY, INSTANCE);
  agent.engine.setupFailed(NET, PASSING);
  await agent.clock.advance(60_000);
  assert.deepEqual(agent.tunnels.initiated, []);
  await lab.dataplane.start();
  await agent.untilReady();
  await agent.until('charon was asked', () => agent.tunnels.initiated.length === 1, 1);
  lab.dataplane.stop();
  await agent.untilNotReady();
  await agent.clock.advance(60_000);
  assert.equal(agent.tunnels.initiated.length, 1);
  await lab.dataplane.start();
  await agent.untilReady();
  await agent.until('charon was asked again', () => agent.tunnels.initiated.length === 2, 1);
});

test('keeps what waits when the key feed comes back, and not when another charon does (11)', async () => {
  await using lab = await SyncLab.start();
  const agent = await startAgent(lab);
  await agent.ready();
  agent.engine.setupFailed(NET, PASSING);
  agent.engine.replaceDesired(EMPTY, INSTANCE);
  assert.equal(agent.engine.status().setups.length, 1);
  agent.engine.replaceDesired(EMPTY, '11'.repeat(16));
  assert.deepEqual(agent.engine.status().setups, []);
});
