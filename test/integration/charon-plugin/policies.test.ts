import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CHILD_NAME,
  eventually,
  mergeSettings,
  type Settings,
  tunnelEnd,
  tunnelSettings,
} from '../../support/index.ts';
import { FakeAgent } from './fake-agent.ts';
import { logged, Rig } from './rig.ts';

/** What a policy's users are told apart by. */
function summary(agent: FakeAgent, direction: string): string[] {
  return [...agent.policies.values()]
    .filter((policy) => policy.direction === direction)
    .map(({ type, priorityClass, espSpi }) => `${type} ${priorityClass}${espSpi === 0 ? '' : ' with SPI'}`)
    .sort();
}

function leftSettings(rig: Rig, child: Settings = {}): Settings {
  const { left, right } = rig.sites;
  return tunnelSettings({ left: { ...tunnelEnd(left), child }, right: tunnelEnd(right) }, 'left');
}

test('a trap brings the tunnel up on an ACQUIRE, and is there again when the tunnel is gone', async () => {
  await using rig = await Rig.start();
  await rig.left.swanctl.load(leftSettings(rig, { start_action: 'trap' }));
  assert.deepEqual(summary(rig.agent, 'outbound'), ['ipsec routed']);
  const [trap] = [...rig.agent.policies.values()].filter(({ direction }) => direction === 'outbound');
  assert(trap !== undefined);
  const packet = (address: string) => ({
    firstAddress: address,
    lastAddress: address,
    protocol: 17,
    ports: { first: 4242, last: 4242 },
  });
  rig.agent.send({
    kind: 'acquire',
    reqid: trap.reqid,
    source: packet('198.19.1.1'),
    destination: packet('198.19.2.1'),
  });
  await logged(rig.left, /CHILD_SA net\{\d\} established/);
  assert.deepEqual(summary(rig.agent, 'outbound'), ['ipsec default with SPI', 'ipsec routed']);
  await rig.left.swanctl.terminate({ child: CHILD_NAME });
  assert.deepEqual(summary(rig.agent, 'outbound'), ['ipsec routed']);
});

test('a trap without an agent fails where it is asked for', async () => {
  await using rig = await Rig.start();
  await rig.killAgent();
  await rig.left.swanctl.load(leftSettings(rig, { start_action: 'trap' })).catch(() => undefined);
  await logged(rig.left, /installing policy .* failed: no agent is ready/);
});

test('two CHILD_SAs with one selector are two users of it; deleting one leaves the other', async () => {
  await using rig = await Rig.start({ charon: { reuse_ikesa: false } });
  await rig.load({ connection: { unique: 'never' } });
  await rig.initiate();
  await rig.initiate();
  assert.equal(rig.agent.sas.size, 4);
  assert.equal(summary(rig.agent, 'outbound').length, 2);
  await rig.left.swanctl.run(['--terminate', '--ike-id', '2', '--timeout', '10']);
  await eventually('one user is left', () => summary(rig.agent, 'outbound').length === 1);
  assert.equal(rig.agent.sas.size, 2);
});

test('shunts that charon installs before there is an agent are in its snapshot', async () => {
  await using rig = await Rig.start();
  await rig.killAgent();
  await logged(rig.left, 'closing connection');
  const children = {
    passed: { local_ts: '198.19.1.0/24', remote_ts: '198.19.3.0/24', mode: 'pass', start_action: 'trap' },
    dropped: { local_ts: '198.19.1.0/24', remote_ts: '0.0.0.0/0', mode: 'drop', start_action: 'trap' },
  };
  await rig.left.swanctl.load(mergeSettings(leftSettings(rig), { connections: { shunts: { children } } }));
  const agent = rig.lab.use(await FakeAgent.sync(rig.left.pluginSocket));
  assert.deepEqual(summary(agent, 'outbound'), ['drop fallback', 'pass pass']);
  assert.deepEqual(summary(agent, 'inbound'), ['drop fallback', 'pass pass']);
});

test('a shunt the agent refuses is not installed', async () => {
  await using rig = await Rig.start();
  rig.agent.answers = () => ({ code: 'refused', reason: 'no shunts here' });
  const children = {
    passed: { local_ts: '198.19.1.0/24', remote_ts: '198.19.3.0/24', mode: 'pass', start_action: 'trap' },
  };
  await rig.left.swanctl
    .load(mergeSettings(leftSettings(rig), { connections: { shunts: { children } } }))
    .catch(() => undefined);
  await logged(rig.left, 'failed: no shunts here');
  assert.equal(summary(rig.agent, 'outbound').length, 0);
});
