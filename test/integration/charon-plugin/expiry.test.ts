import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, type Settings, tunnelEnd } from '../../support/index.ts';
import { logged, Rig } from './rig.ts';

/** A rig whose left end ends its SAs by time, in seconds; charon takes nothing off at random. */
async function start(rekey: number, life: number): Promise<Rig> {
  const rig = await Rig.start();
  const child: Settings = { rekey_time: `${rekey}s`, life_time: `${life}s`, rand_time: 0 };
  await rig.load({ left: { ...tunnelEnd(rig.sites.left), child } });
  return rig;
}

test('a soft expiry rekeys: only the inbound SA has one, so it happens once', async () => {
  await using rig = await start(2, 60);
  await rig.initiate();
  const soft = [...rig.agent.sas.values()].map(({ id, softLifetime }) => [
    id.direction,
    softLifetime.seconds,
  ]);
  assert.deepEqual(soft, [
    ['inbound', 2n],
    ['outbound', undefined],
  ]);
  await logged(rig.left, /outbound CHILD_SA net\{2\} established/);
  assert.equal((await rig.left.log()).match(/creating rekey job/g)?.length, 1);
});

test('a soft expiry during an outage is held back, and raised when an agent is ready', async () => {
  await using rig = await start(1, 60);
  await rig.initiate();
  await rig.killAgent();
  await logged(rig.left, 'holding back rekeying of SA');
  await sleep(1_500);
  assert.doesNotMatch(await rig.left.log(), /creating rekey job|rekeying failed/);
  await rig.restartAgent();
  await logged(rig.left, /outbound CHILD_SA net\{2\} established/);
  assert.doesNotMatch(await rig.left.log(), /rekeying failed/);
});

test('a hard expiry is raised whether or not there is an agent, and charon sets up anew when there is', async () => {
  await using rig = await start(0, 2);
  await rig.initiate();
  await rig.killAgent();
  await logged(rig.left, 'closing expired CHILD_SA net{1}');
  await logged(rig.left, 'no agent is ready');
  await eventually('the CHILD_SA is gone', async () => (await rig.installed()).left.length === 0);
  assert.equal(rig.peerAgent.sas.size, 0);
});

test('what the dataplane sees expire by bytes or packets is told to charon, unless the SA is gone', async () => {
  await using rig = await Rig.start();
  await rig.initiate();
  const [inbound] = [...rig.agent.sas.values()].filter(({ id }) => id.direction === 'inbound');
  assert(inbound !== undefined);
  const { protocol, spi, destination } = inbound.id;
  rig.agent.send({ kind: 'expire', protocol, spi: spi ^ 1, destination, hard: true });
  rig.agent.send({ kind: 'expire', protocol, spi, destination, hard: false });
  await logged(rig.left, /outbound CHILD_SA net\{2\} established/);
  assert.doesNotMatch(await rig.left.log(), /creating delete job/);
  rig.agent.send({
    kind: 'expire',
    protocol,
    spi: rig.agent.spis('outbound')[0] ?? 0,
    destination: { address: '198.18.0.2', port: 0 },
    hard: true,
  });
  await logged(rig.left, 'closing expired CHILD_SA net{2}');
});

test('an SA that was rekeyed in time raises nothing afterwards', async () => {
  await using rig = await start(1, 3);
  await rig.initiate();
  await logged(rig.left, /outbound CHILD_SA net\{3\} established/);
  await sleep(2_000);
  const log = await rig.left.log();
  assert.doesNotMatch(log, /closing expired|not found for (rekey|delete)/);
});
