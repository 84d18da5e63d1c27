import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CHILD_NAME,
  CommandError,
  eventually,
  inRepository,
  type Settings,
  tunnelEnd,
} from '../../support/index.ts';
import { type Answers, FakeAgent, OK } from './fake-agent.ts';
import { logged, Rig } from './rig.ts';

/** Milliseconds something takes that is expected to fail. */
async function failingTime(work: Promise<unknown>, reason: RegExp): Promise<number> {
  const start = performance.now();
  await assert.rejects(work, (error) => error instanceof CommandError && reason.test(error.message));
  return performance.now() - start;
}

/** The right end's connections with a CHILD_SA each, `net-1`, `net-2` and so on. */
function manyTunnels(count: number, local: string, remote: string): Settings {
  const connections: Record<string, Settings> = {};
  for (let index = 1; index <= count; index += 1) {
    connections[`gw-${index}`] = {
      version: 2,
      local_addrs: local,
      remote_addrs: remote,
      proposals: 'aes128-sha256-x25519',
      unique: 'never',
      local: { auth: 'psk', id: 'right.test' },
      remote: { auth: 'psk', id: 'left.test' },
      children: {
        [`net-${index}`]: {
          local_ts: '198.19.2.0/24',
          remote_ts: '198.19.1.0/24',
          esp_proposals: 'aes128gcm16',
        },
      },
    };
  }
  return connections;
}

test('an agent that comes back finds everything in its snapshot, once, in the order of its installation', async () => {
  await using rig = await Rig.start();
  await rig.initiate();
  const { sas, policies } = rig.agent;
  const seqs = rig.agent.received.flatMap((message) =>
    message.kind === 'add-sa' || message.kind === 'add-policy' ? [message.seq] : [],
  );
  const first = await rig.agent.message('hello');
  await rig.killAgent();
  const agent = await FakeAgent.sync(rig.left.pluginSocket);
  rig.lab.use(agent);
  assert.equal((await agent.message('hello')).instance, first.instance);
  assert.deepEqual([...agent.sas.keys()], [...sas.keys()]);
  assert.deepEqual([...agent.policies.values()], [...policies.values()]);
  const [begin, end] = [await agent.message('snapshot-begin'), await agent.message('snapshot-end')];
  assert.equal(begin.seq, end.seq);
  const inside = agent.received.slice(agent.received.indexOf(begin) + 1, agent.received.indexOf(end));
  assert.equal(inside.length, end.count);
  assert.deepEqual(
    inside.map((message) => 'seq' in message && message.seq),
    seqs,
  );
  for (const sa of agent.sas.values()) {
    assert(sa.ageMs !== undefined && sa.ageMs < 10_000n);
    const before = sas.get(`esp ${sa.id.spi} ${sa.id.destination.address}`);
    assert(sa.encrKey !== undefined && before?.encrKey?.equals(sa.encrKey));
  }
});

test('without an agent setups fail at once, rekeyings keep the old SA, deletions reach the next snapshot', async () => {
  await using rig = await Rig.start();
  await rig.initiate();
  await rig.killAgent();
  await logged(rig.left, 'closing connection to agent: closed by agent');
  await rig.left.swanctl.rekey({ child: CHILD_NAME });
  await logged(rig.left, 'CHILD_SA rekeying failed, trying again');
  assert.match(await rig.left.log(), /installing inbound SA .* failed: no agent is ready/);
  assert.equal((await rig.installed()).left.length, 1);
  await rig.left.swanctl.terminate({ child: CHILD_NAME });
  assert((await failingTime(rig.initiate(), /no agent is ready/)) < 900);
  const agent = await rig.restartAgent();
  await agent.message('snapshot-end');
  assert.equal(agent.sas.size + agent.policies.size, 0);
});

test('the agent is gone between the inbound and the outbound SA: IKE reports it, nothing is left', async () => {
  await using rig = await Rig.start();
  rig.agent.answers = (request) => {
    if (request.kind !== 'add-sa' || request.sa.id.direction === 'inbound') return OK;
    void rig.agent[Symbol.asyncDispose]();
    return undefined;
  };
  await failingTime(rig.initiate(), /installing outbound SA .* failed: the agent is gone/);
  const agent = await rig.restartAgent();
  await agent.message('snapshot-end');
  assert.equal(agent.sas.size + agent.policies.size, 0);
  assert.equal(rig.peerAgent.sas.size, 0);
  await logged(rig.left, 'agent is ready');
  await rig.initiate();
  assert.equal(agent.sas.size, 2);
});

test('a silent agent costs one deadline; then requests fail at once, until it answers a probe', async () => {
  const isSa: Answers = (request) => (request.kind === 'get-spi' ? OK : undefined);
  await using rig = await Rig.start({ plugin: { deadline: 600 } });
  rig.agent.answers = isSa;
  const first = await failingTime(rig.initiate(), /installing inbound SA .* no answer within 600 ms/);
  assert(first >= 600 && first < 1_800, `${first} ms`);
  const probe = await rig.agent.message('probe');
  const second = await failingTime(rig.initiate(), /failed: the agent does not answer/);
  assert(second < 500, `${second} ms`);
  // the late one is told to be undone, on the same stream and in order
  const kinds = rig.agent.received.map(({ kind }) => kind);
  assert(kinds.lastIndexOf('del-sa') > kinds.indexOf('add-sa'));
  for (const request of rig.agent.unanswered.splice(0)) {
    if (request.kind !== 'probe') rig.agent.answer(request, OK);
  }
  await sleep(100);
  await failingTime(rig.initiate(), /failed: the agent does not answer/);
  rig.agent.answers = () => OK;
  rig.agent.answer(probe, OK);
  await logged(rig.left, 'agent answers again');
  await rig.initiate();
  await rig.killAgent();
  const agent = await rig.restartAgent();
  await agent.message('snapshot-end');
  assert.equal(agent.sas.size, 2);
});

test('a probe the agent answers with a failure is repeated', async () => {
  await using rig = await Rig.start({ plugin: { deadline: 200 } });
  let isReachable = false;
  rig.agent.answers = (request) => {
    if (request.kind === 'probe') return isReachable ? OK : { code: 'try-again', reason: 'no dataplane' };
    return request.kind === 'get-spi' || isReachable ? OK : undefined;
  };
  await failingTime(rig.initiate(), /no answer within 200 ms/);
  const probes = (): number => rig.agent.received.filter(({ kind }) => kind === 'probe').length;
  await eventually('a second probe', () => probes() > 1);
  isReachable = true;
  await logged(rig.left, 'agent answers again');
  await rig.initiate();
});

test('the deadline follows the latency the dataplane states', async () => {
  await using rig = await Rig.start({ plugin: { deadline: 100 } });
  rig.agent.answers = (request) => {
    setTimeout(() => rig.agent.answer(request, OK), 300);
    return undefined;
  };
  await failingTime(rig.initiate(), /failed: the agent does not answer/);
  assert.match(await rig.left.log(), /getting SPI from agent failed: no answer within 100 ms/);
  await rig.killAgent();
  const agent = await FakeAgent.sync(rig.left.pluginSocket);
  rig.lab.use(agent).answers = (request) => {
    setTimeout(() => agent.answer(request, OK), 300);
    return undefined;
  };
  agent.ready(undefined, 200_000);
  await sleep(100);
  await rig.initiate();
});

test('NOT_READY fails requests at once, READY ends that', async () => {
  await using rig = await Rig.start();
  rig.agent.send({ kind: 'not-ready', reason: 'the dataplane is gone' });
  await logged(rig.left, 'agent is not ready: the dataplane is gone');
  await failingTime(rig.initiate(), /failed: no agent is ready/);
  rig.agent.ready();
  await eventually('ready', async () => (await rig.left.log()).split('agent is ready').length > 2);
  await rig.initiate();
});

/** A rig that lets a hundred peers at the right end do what they want at the same time. */
async function startCrowd(plugin: Settings): Promise<Rig> {
  const rig = await Rig.start({
    plugin,
    charon: { reuse_ikesa: false, dos_protection: false, filelog: { tests: { ike_name: true } } },
  });
  const { left, right } = rig.sites;
  await rig.load({ right: { ...tunnelEnd(right), connection: { dpd_delay: '1s', unique: 'never' } } });
  await rig.initiate('right');
  await rig.right.swanctl.load({
    connections: manyTunnels(100, right.outer, left.outer),
    secrets: { 'ike-test': { secret: 'a secret of the lab' } },
  });
  return rig;
}

/** Initiates all of them at once, which nobody waits for; a shell does it, this process is busy answering. */
async function initiateCrowd(rig: Rig): Promise<void> {
  const { namespace, dir } = rig.sites.right;
  const swanctl = `STRONGSWAN_CONF=${dir}/strongswan.conf ${inRepository('build', 'test-tools', 'swanctl')}`;
  const initiate = `${swanctl} --initiate --child net-$i --timeout -1 --uri ${rig.right.viciUri}`;
  await namespace.run(['sh', '-c', `for i in $(seq 100); do ${initiate} & done; wait`]);
}

test('a hundred peers against a silent agent: the dead peer detection of another IKE_SA is answered', async () => {
  await using rig = await startCrowd({ deadline: 3_000 });
  rig.agent.answers = (request) => (request.kind === 'get-spi' ? OK : undefined);
  await initiateCrowd(rig);
  const failures = async (): Promise<number> => (await rig.left.log()).match(/keeping IKE_SA/g)?.length ?? 0;
  await eventually('all have failed', async () => (await failures()) >= 100, { timeoutMs: 30_000 });
  const log = await rig.left.log();
  assert.match(log, /failed: no answer within 3000 ms/);
  assert.match(log, /failed: no answer within 400 ms/);
  assert.match(log, /failed: the agent does not answer/);
  // the peer waits a second until it asks again
  assert.match(await rig.right.log(), /<gw\|1> sending DPD request/);
  assert.doesNotMatch(await rig.right.log(), /<gw\|1> retransmit/);
  assert.equal((await rig.installed()).left.length, 1);
});

test('a hundred peers and an agent that takes its time: none is turned away', async () => {
  await using rig = await startCrowd({ deadline: 10_000 });
  let isFree = Promise.resolve();
  rig.agent.answers = (request) => {
    isFree = isFree.then(() => sleep(3)).then(() => rig.agent.answer(request, OK));
    return undefined;
  };
  await initiateCrowd(rig);
  await eventually('all are up', async () => (await rig.installed()).left.length === 101, {
    timeoutMs: 30_000,
  });
  const failures = (await rig.left.log()).split('\n').filter((line) => line.includes('failed: '));
  assert.deepEqual(failures, []);
});
