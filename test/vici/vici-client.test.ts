import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentErrorCode, type Clock, systemClock } from '../../src/util/index.ts';
import {
  type IkeSa,
  ViciClient,
  type ViciEvent,
  type ViciGap,
  type ViciOptions,
} from '../../src/vici/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCharon, type FakeCommand } from '../support/fake-charon.ts';
import { fakeStats } from '../support/fake-sas.ts';
import { TempDir } from '../support/temp-dir.ts';
import { collect, sampleChild, sampleIke } from './samples.ts';

type Setup = AsyncDisposable & {
  readonly fake: FakeCharon;
  readonly client: ViciClient;
  readonly uri: string;
};

async function setUp(
  commands: Readonly<Record<string, FakeCommand>>,
  options: Omit<ViciOptions, 'uri'> = {},
): Promise<Setup> {
  const stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir());
  const path = dir.file('vici');
  const fake = stack.use(await FakeCharon.listen(path, { commands }));
  const uri = `unix://${path}`;
  const client = stack.use(new ViciClient({ uri, timeoutMs: 5_000, ...options }));
  return { fake, client, uri, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const code = (expected: AgentErrorCode, message: RegExp = /./) => ({ code: expected, message });

const stats = (total: number): FakeCommand => {
  return () => ({ reply: fakeStats(total) });
};

const listed = (...uniqueIds: readonly number[]): FakeCommand => {
  return () => ({
    events: uniqueIds.map((uniqueid) => [
      'list-sa',
      { gw: sampleIke({ uniqueid, 'child-sas': { 'net-7': sampleChild() } }) },
    ]),
  });
};

test('runs commands one after another on one connection, in the order of the calls', async () => {
  let running = 0;
  await using setup = await setUp({
    version: async () => {
      running += 1;
      assert.equal(running, 1);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running -= 1;
      return {
        reply: { daemon: 'charon', version: '5.9.8', sysname: 'Linux', release: '6.1', machine: 'x86_64' },
      };
    },
    stats: stats(0),
  });
  const { client, fake } = setup;
  const [version, , numbers] = await Promise.all([client.version(), client.version(), client.stats()]);
  assert.equal(version.version, '5.9.8');
  assert.deepEqual([numbers.workers.total, numbers.workers.idle], [16, 11]);
  assert.deepEqual(numbers.memory, { used: 1_500, free: 500 });
  assert.deepEqual(
    fake.asked.map(({ command }) => command),
    ['version', 'version', 'stats'],
  );
  assert.equal(fake.connections, 1);
});

test('tries again when too many connect at once, and gives up at the deadline', async () => {
  await using setup = await setUp({ stats: stats(0) });
  let retries = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: (delayMs) => {
      retries += 1;
      return systemClock.sleep(delayMs);
    },
  };
  await using stack = new AsyncDisposableStack();
  const clients = Array.from({ length: 50 }, () => stack.use(new ViciClient({ uri: setup.uri, clock })));
  await Promise.all(clients.map((client) => client.stats()));
  assert.ok(retries > 0);

  const stuck: Clock = { ...clock, sleep: () => new Promise(() => undefined) };
  const others = Array.from({ length: 50 }, () =>
    stack.use(new ViciClient({ uri: setup.uri, clock: stuck })),
  );
  const results = await Promise.allSettled(others.map((client) => client.stats({ timeoutMs: 200 })));
  assert.ok(results.some(({ status }) => status === 'rejected'));
});

test('lists IKE_SAs as they come, two of one name apart, and registers once', async () => {
  await using setup = await setUp({ 'list-sas': listed(1, 2), stats: stats(2) });
  const { client, fake } = setup;
  const ikeSas: readonly IkeSa[] = await collect(client.listSas({ noblock: true, ikeId: 5 }));
  assert.deepEqual(
    ikeSas.map(({ uniqueId }) => uniqueId),
    [1, 2],
  );
  assert.deepEqual(fake.asked[0]?.args.toJSON(), { 'ike-id': '5', noblock: 'yes' });
  const listing = await client.loadSas();
  assert.deepEqual([...listing.ikeSas.keys()], [1, 2]);
  assert.equal(listing.isComplete, true);
  assert.deepEqual(fake.asked[2]?.args.toJSON(), {});
  assert.deepEqual(fake.registered, ['list-sa']);
});

test('tells a listing that lacks an IKE_SA from a complete one', async () => {
  await using setup = await setUp({ 'list-sas': listed(1, 2), stats: stats(3) });
  assert.equal((await setup.client.loadSas()).isComplete, false);
});

test('gives what charon refuses as an outcome with its reason', async () => {
  await using setup = await setUp({
    rekey: (args) =>
      args.text('child-id') === '7'
        ? { reply: { success: 'yes', matches: 1 } }
        : { reply: { success: 'no', matches: 0, errmsg: 'no matching SAs to rekey found' } },
    initiate: () => ({ reply: { success: 'no', errmsg: "establishing CHILD_SA 'net' failed" } }),
    terminate: () => ({ reply: { success: 'yes', matches: 2, terminated: 2 } }),
  });
  const { client, fake } = setup;
  assert.deepEqual(await client.rekey({ childId: 7, ikeId: 3 }), { kind: 'done', matches: 1 });
  assert.deepEqual(await client.rekey({ childId: 8 }), {
    kind: 'failed',
    matches: 0,
    reason: 'no matching SAs to rekey found',
  });
  assert.deepEqual(await client.initiate({ child: 'net' }, { timeoutMs: 1_500 }), {
    kind: 'failed',
    reason: "establishing CHILD_SA 'net' failed",
  });
  assert.deepEqual(await client.terminate({ ike: 'gw', force: true }, { wait: false }), {
    kind: 'done',
    matches: 2,
  });
  assert.deepEqual(
    fake.asked.map(({ args }) => args.toJSON()),
    [
      { 'ike-id': '3', 'child-id': '7' },
      { 'child-id': '8' },
      { child: 'net', timeout: '1500' },
      { ike: 'gw', force: 'yes', timeout: '-1' },
    ],
  );
});

test('does not let a long initiate hold up other commands', async () => {
  await using setup = await setUp({ initiate: () => 'never', stats: stats(0) });
  const stop = new AbortController();
  const initiated = setup.client.initiate({ child: 'net' }, { signal: stop.signal });
  await eventually('the initiate', () => setup.fake.asked.length === 1);
  await setup.client.stats();
  stop.abort();
  await assert.rejects(initiated, code('aborted', /VICI initiate: stopped by the caller/));
});

test('gives up at the deadline, closes that connection and works on with another', async () => {
  let isSilent = true;
  await using setup = await setUp({ stats: (args) => (isSilent ? 'never' : stats(4)(args)) });
  const { client, fake } = setup;
  const late = client.stats({ timeoutMs: 30 });
  const next = client.stats();
  await assert.rejects(late, code('deadline', /VICI stats: no answer within 30 ms/));
  isSilent = false;
  assert.equal((await next).ikeSas.total, 4);
  assert.equal(fake.connections, 2);
});

test('connects again after charon went away, but does not repeat a command that may have run', async () => {
  let isSilent = true;
  await using setup = await setUp({ stats: (args) => (isSilent ? 'never' : stats(4)(args)) });
  const { client, fake } = setup;
  const lost = assert.rejects(client.stats(), code('unavailable', /charon closed/));
  await eventually('the command', () => fake.asked.length === 1);
  fake.hangUp();
  await lost;
  isSilent = false;
  assert.equal((await client.stats()).ikeSas.total, 4);
  assert.equal(fake.asked.length, 2);
});

test('skips a call that is given up while it waits for its turn', async () => {
  await using setup = await setUp({ slow: () => 'never', stats: stats(1) }, { waitingLimit: 3 });
  const { client, fake } = setup;
  const first = client.request('slow', {}, { timeoutMs: 60 });
  const second = client.stats({ timeoutMs: 20 });
  const third = client.stats();
  await assert.rejects(client.stats(), code('overflow', /3 VICI commands are waiting/));
  await assert.rejects(second, code('deadline'));
  await assert.rejects(first, code('deadline'));
  assert.equal((await third).ikeSas.total, 1);
  assert.deepEqual(
    fake.asked.map(({ command }) => command),
    ['slow', 'stats'],
  );
});

test('says what charon does not know', async () => {
  await using setup = await setUp({ 'list-nothing': () => ({}) });
  const { client } = setup;
  await assert.rejects(client.request('fly'), code('unsupported', /does not know the VICI command fly/));
  await assert.rejects(
    client.subscribe(['alert']),
    code('unsupported', /does not know the VICI event alert/),
  );
  await assert.rejects(collect(client.stream('list-nothing', 'list-nothing')), code('unsupported'));
});

test('never asks for a log that holds keys', async () => {
  await using setup = await setUp({ initiate: () => ({ reply: { success: 'yes' } }) });
  const { client, fake } = setup;
  await client.request('initiate', { child: 'net', loglevel: 3 });
  for (const loglevel of [4, '4', 'high']) {
    await assert.rejects(
      client.request('initiate', { child: 'net', loglevel }),
      code('invalid-input', /loglevel/),
    );
  }
  assert.equal(fake.asked.length, 1);
});

test('ends a stream that charon refuses, with its reason', async () => {
  await using setup = await setUp({ 'list-conns': () => ({ reply: { success: 'no', errmsg: 'not now' } }) });
  await assert.rejects(collect(setup.client.listConns()), code('refused', /VICI list-conns: not now/));
});

test('lists loaded connections', async () => {
  await using setup = await setUp({
    'list-conns': () => ({
      events: [['list-conn', { gw: { local_addrs: ['198.18.0.1'], version: 'IKEv2' } }]],
    }),
  });
  const [connection, ...others] = await collect(setup.client.listConns({ ike: 'gw' }));
  assert.equal(others.length, 0);
  assert.equal(connection?.name, 'gw');
  assert.deepEqual(connection.section.list('local_addrs'), ['198.18.0.1']);
});

test('leaving a stream early closes its connection', async () => {
  await using setup = await setUp({
    'list-sas': (args) => ({ ...Object(listed(1, 2, 3)(args)), reply: 'never' }),
    stats: stats(3),
  });
  const { client, fake } = setup;
  for await (const ike of client.listSas()) {
    assert.equal(ike.uniqueId, 1);
    break;
  }
  await eventually('no connection', () => fake.openConnections === 0);
  await client.stats();
  assert.equal(fake.connections, 2);
});

test('lets other commands run while a stream waits to be read, but not without a limit', async () => {
  await using setup = await setUp({ 'list-sas': listed(1, 2, 3), stats: stats(3) }, { unreadLimit: 2 });
  const { client } = setup;
  await assert.rejects(collect(client.listSas()), code('overflow', /more than 2 messages are unread/));

  await using roomy = await setUp({ 'list-sas': listed(1, 2, 3), stats: stats(3) });
  const seen: number[] = [];
  for await (const { uniqueId } of roomy.client.listSas()) {
    seen.push(uniqueId);
    await roomy.client.stats();
  }
  assert.deepEqual(seen, [1, 2, 3]);
});

test('subscribes on a connection of its own, and tells what it lost', async () => {
  await using setup = await setUp({ stats: stats(0) }, { eventLimit: 3 });
  const { client, fake } = setup;
  await client.stats();
  await using subscription = await client.subscribe(['ike-updown', 'child-updown', 'ike-updown']);
  assert.equal(fake.connections, 2);
  assert.deepEqual(fake.registered, ['ike-updown', 'child-updown']);

  const up = (uniqueid: number) => ({ up: 'yes', gw: sampleIke({ uniqueid }) });
  for (let id = 1; id <= 5; id += 1) fake.raise('ike-updown', up(id));
  await client.stats();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const seen: (ViciEvent | ViciGap)[] = [];
  for await (const event of subscription) {
    seen.push(event);
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen[0], { kind: 'gap', reason: 'unread', lost: 3 });
  assert.deepEqual(
    seen.slice(1).map((event) => (event.kind === 'ike-updown' ? event.ike.uniqueId : event.kind)),
    [4, 5],
  );
  await eventually('the end of the subscription', () => fake.openConnections === 1);
});

test('a subscription throws when charon goes away, and ends when it is aborted or disposed', async () => {
  await using setup = await setUp({});
  const { client, fake } = setup;
  const events = ['ike-updown'];
  const lost = await client.subscribe(events);
  const read = collect(lost);
  fake.hangUp();
  await assert.rejects(read, code('unavailable', /charon closed/));

  const stop = new AbortController();
  const stopped = await client.subscribe(events, { signal: stop.signal });
  stop.abort();
  await assert.rejects(collect(stopped), code('aborted'));

  const disposed = await client.subscribe(events);
  await disposed[Symbol.asyncDispose]();
  await disposed[Symbol.asyncDispose]();
  assert.deepEqual(await collect(disposed), []);
});

test('malformed bytes end that connection, with what and where, and nothing else', async () => {
  await using setup = await setUp({ stats: stats(0) });
  const { client, fake } = setup;
  await using subscription = await client.subscribe(['ike-updown']);
  const read = collect(subscription);
  fake.sendBytes(Uint8Array.of(0, 0, 0, 1, 9));
  await assert.rejects(read, code('malformed', /VICI packet of unknown type 9, at byte \d+/));
  await client.stats();
  fake.sendBytes(Uint8Array.of(0, 0, 0, 1, 5));
  await eventually('the end of the connection', () => fake.openConnections === 0);
  await client.stats();
  assert.equal(fake.connections, 3);
});

test('refuses to work for those who closed it, or never had a charon', async () => {
  await using setup = await setUp({ slow: () => 'never', stats: stats(0) });
  const running = setup.client.request('slow');
  const waiting = setup.client.stats();
  await eventually('the command', () => setup.fake.asked.length === 1);
  await Promise.all([
    assert.rejects(running, code('aborted')),
    assert.rejects(waiting, code('aborted')),
    setup.client[Symbol.asyncDispose](),
  ]);
  await assert.rejects(setup.client.stats(), code('aborted', /client is closed/));

  await using nobody = new ViciClient({ uri: `${setup.uri}.nobody` });
  await assert.rejects(nobody.stats(), {
    code: 'unavailable',
    retryable: true,
    message: /ENOENT.*is charon running/,
  });
  await assert.rejects(nobody.stats({ signal: AbortSignal.abort() }), code('aborted'));
});
