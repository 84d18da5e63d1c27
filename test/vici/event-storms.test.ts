import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ViciClient, type ViciEvent, type ViciGap, type ViciOptions } from '../../src/vici/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCharon, type FakeCharonOptions } from '../support/fake-charon.ts';
import { TempDir } from '../support/temp-dir.ts';
import { collect, recordedListSas, sampleChild, sampleIke } from './samples.ts';

const up = (uniqueid: number) => ({ up: 'yes', gw: sampleIke({ uniqueid }) });

async function setUp(options: Omit<ViciOptions, 'uri'> = {}, charon: FakeCharonOptions = {}) {
  const stack = new AsyncDisposableStack();
  const path = stack.use(new TempDir()).file('vici');
  const fake = stack.use(await FakeCharon.listen(path, charon));
  const uri = `unix://${path}`;
  const client = stack.use(new ViciClient({ uri, ...options }));
  return { path, uri, fake, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function idOf(event: ViciEvent | ViciGap | undefined): number | undefined {
  return event?.kind === 'ike-updown' ? event.ike.uniqueId : undefined;
}

test('a consumer that does not read gets a gap, and charon does not notice', async () => {
  await using setup = await setUp();
  const { client, fake } = setup;
  await using subscription = await client.subscribe(['ike-updown']);
  const events = subscription[Symbol.asyncIterator]();
  fake.raise('ike-updown', up(1));
  assert.equal(idOf((await events.next()).value ?? undefined), 1);

  fake.storm('ike-updown', 10_000, (index) => up(index + 2));
  await eventually('everything read', () => fake.unreadBytes === 0);
  const gap = await events.next();
  assert.ok(gap.value?.kind === 'gap' && gap.value.reason === 'unread' && (gap.value.lost ?? 0) > 4_000);
  let count = gap.value.lost ?? 0;
  let last: number | undefined;
  while (count < 10_000) {
    const { value } = await events.next();
    count += value?.kind === 'gap' ? (value.lost ?? 0) : 1;
    last = idOf(value ?? undefined);
  }
  assert.equal(last, 10_001);
});

test('loses nothing of a stream while a storm of events goes on', async () => {
  await using setup = await setUp();
  const { client, fake } = setup;
  const many = Array.from({ length: 3_000 }, (_, index) => index + 1);
  fake.sas = many.map((uniqueid) => ({
    name: 'gw',
    fields: sampleIke({ uniqueid }),
    children: [sampleChild({ uniqueid })],
  }));
  await using subscription = await client.subscribe(['child-updown']);
  const listing = client.listSasComplete();
  fake.storm('child-updown', 2_000, up);
  const { ikeSas, isComplete } = await listing;
  assert.deepEqual([[...ikeSas.keys()], isComplete], [many, true]);
  await subscription[Symbol.asyncDispose]();
});

test('subscriptions share a connection; each event is registered once, and no longer than somebody wants it', async () => {
  await using setup = await setUp();
  const { client, fake } = setup;
  const first = await client.subscribe(['ike-updown', 'child-updown']);
  const second = await client.subscribe(['ike-updown', 'ike-rekey']);
  assert.deepEqual([fake.connections, fake.registered], [1, ['ike-updown', 'child-updown', 'ike-rekey']]);

  fake.raise('ike-updown', up(1));
  for (const subscription of [first, second]) {
    const { value } = await subscription[Symbol.asyncIterator]().next();
    assert.equal(idOf(value ?? undefined), 1);
  }
  await first[Symbol.asyncDispose]();
  await eventually('the end of a registration', () => fake.unregistered.length === 1);
  assert.deepEqual([fake.unregistered, fake.openConnections], [['child-updown'], 1]);
  await second[Symbol.asyncDispose]();
  await eventually('no connection', () => fake.openConnections === 0);
});

test('an event that charon does not know fails that subscription, and no other', async () => {
  await using setup = await setUp();
  const { client, fake } = setup;
  await using good = await client.subscribe(['ike-updown']);
  await assert.rejects(client.subscribe(['ike-rekey', 'alert']), { code: 'unsupported' });
  await assert.rejects(client.subscribe(['log'], { signal: AbortSignal.abort() }), { code: 'aborted' });
  fake.raise('ike-updown', up(3));
  const { value } = await good[Symbol.asyncIterator]().next();
  assert.equal(idOf(value ?? undefined), 3);
});

test('with reconnect: registers again, says that there is a gap, and goes on', async () => {
  await using setup = await setUp({ reconnect: true });
  const { client, fake } = setup;
  await using subscription = await client.subscribe(['ike-updown', 'child-updown']);
  await using other = await client.subscribe(['ike-rekey']);
  const events = subscription[Symbol.asyncIterator]();
  for (let times = 0; times < 2; times += 1) {
    fake.hangUp();
    assert.deepEqual((await events.next()).value, { kind: 'gap', reason: 'reconnected', lost: undefined });
    const all = ['ike-updown', 'child-updown', 'ike-rekey'];
    await eventually('all registrations', () => fake.registered.slice(-3).join() === all.join());
  }
  fake.raise('ike-updown', up(4));
  assert.equal(idOf((await events.next()).value ?? undefined), 4);
  const { value } = await other[Symbol.asyncIterator]().next();
  assert.equal(value?.kind, 'gap');
});

test('with reconnect: malformed bytes cost a connection, and are a gap to those who watch', async () => {
  await using setup = await setUp({ reconnect: true });
  const { client, fake } = setup;
  await using subscription = await client.subscribe(['ike-updown']);
  fake.sendBytes(Uint8Array.of(0, 0, 0, 1, 9));
  const { value } = await subscription[Symbol.asyncIterator]().next();
  assert.equal(value?.kind, 'gap');
});

test('with reconnect: closing the client ends the wait for charon', async () => {
  await using setup = await setUp({ reconnect: true });
  const { client, fake } = setup;
  const subscription = await client.subscribe(['ike-updown']);
  const read = collect(subscription);
  await fake[Symbol.asyncDispose]();
  await sleep(80);
  const waiting = client.stats();
  await Promise.all([
    assert.rejects(read, { code: 'aborted' }),
    assert.rejects(waiting, { code: 'aborted' }),
    client[Symbol.asyncDispose](),
  ]);
  assert.ok((await subscription.ended) instanceof Error);
});

test('with reconnect: a command waits for charon until its deadline, and then says why', async () => {
  await using dir = new TempDir();
  const path = dir.file('vici');
  await using client = new ViciClient({ uri: `unix://${path}`, reconnect: true });
  const version = { daemon: 'charon', version: '6', sysname: 'Linux', release: '6.1', machine: 'x86_64' };
  await assert.rejects(client.version({ timeoutMs: 120 }), { code: 'unavailable', message: /ENOENT/ });
  const early = client.version();
  await sleep(60);
  await using _fake = await FakeCharon.listen(path, { commands: { version: () => ({ reply: version }) } });
  assert.equal((await early).version, '6');
});

test('reads an answer that comes byte by byte, and says that one broke off', async () => {
  await using setup = await setUp();
  const { client, fake } = setup;
  fake.sas = [{ name: 'gw', fields: sampleIke(), children: [sampleChild()] }];
  fake.writing = { pieceBytes: 7, pauseMs: 1 };
  const [ike] = await collect(client.listSas());
  assert.equal(ike?.children.get(7)?.installed?.inbound.spi, 0xc0a80001);

  for (const cutAfterBytes of [0, 2, 5, 40]) {
    fake.writing = { cutAfterBytes };
    await assert.rejects(collect(client.listSaSummaries()), { code: 'unavailable', retryable: true });
  }
  assert.equal((await collect(client.listSas())).length, 1);
});

test('20 clients connect at once, though charon lets 3 wait', async () => {
  await using setup = await setUp();
  await using stack = new AsyncDisposableStack();
  const clients = Array.from({ length: 20 }, () => stack.use(new ViciClient({ uri: setup.uri })));
  const stats = await Promise.all(clients.map((client) => client.stats()));
  assert.equal(stats.length, 20);
});

test('talks to charon over TCP', async () => {
  await using setup = await setUp();
  const proxy = createServer((socket) => {
    const upstream = createConnection(setup.path);
    socket.pipe(upstream).pipe(socket);
    upstream.on('close', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const address = proxy.address();
  assert.ok(typeof address === 'object' && address !== null);
  {
    await using client = new ViciClient({ uri: `tcp://127.0.0.1:${address.port}` });
    assert.equal((await client.stats()).ikeSas.total, 0);
  }
  await new Promise((resolve) => proxy.close(resolve));
});

test('lists 1,000 IKE_SAs as a real charon wrote them, both ways', async () => {
  await using dir = new TempDir();
  const path = dir.file('vici');
  const recorded = recordedListSas();
  const server = createServer((socket) => {
    let asked = 0;
    socket.on('data', () => {
      asked += 1;
      // The confirmation of the registration, then the recorded answer.
      socket.write(asked % 2 === 1 ? Buffer.from([0, 0, 0, 1, 5]) : recorded);
    });
  });
  server.listen(path);
  await once(server, 'listening');
  {
    await using client = new ViciClient({ uri: `unix://${path}` });
    const whole = await collect(client.listSas());
    await using again = new ViciClient({ uri: `unix://${path}` });
    const fast = await collect(again.listSaSummaries());
    assert.deepEqual([whole.length, fast.length], [1_000, 1_000]);
    assert.deepEqual(
      fast.map(({ uniqueId }) => uniqueId),
      whole.map(({ uniqueId }) => uniqueId),
    );
  }
  await new Promise((resolve) => server.close(resolve));
});
