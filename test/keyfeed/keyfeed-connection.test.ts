import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import {
  encodePluginMessage,
  type FeedChange,
  type FeedHandler,
  type FeedRequest,
  type FeedSnapshot,
  KeyfeedConnection,
  type RequestResult,
  type SetupFailed,
} from '../../src/keyfeed/index.ts';
import { AgentError, type AgentErrorCode, InvariantError, SecretBytes } from '../../src/util/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakePlugin } from '../support/fake-plugin.ts';
import { TempDir } from '../support/temp-dir.ts';
import { samplePolicy, sampleSa } from './samples.ts';

const server = 'test';

/** Writes down what it is fed. Keys stay as they came. */
class RecordingHandler implements FeedHandler {
  readonly snapshots: FeedSnapshot[] = [];
  readonly changes: FeedChange[] = [];
  readonly requests: FeedRequest[] = [];
  readonly failures: SetupFailed[] = [];
  answer: (request: FeedRequest) => RequestResult | Promise<RequestResult> = () => ({ kind: 'ok' });

  readonly onSnapshot = (snapshot: FeedSnapshot): void => void this.snapshots.push(snapshot);
  readonly onChange = (change: FeedChange): void => void this.changes.push(change);
  readonly onSetupFailed = (failure: SetupFailed): void => void this.failures.push(failure);
  readonly onRequest = (request: FeedRequest): RequestResult | Promise<RequestResult> => {
    this.requests.push(request);
    return this.answer(request);
  };
}

/** A plugin, and an agent connected to it that serves until the test ends. */
async function connect(plugin: FakePlugin, path: string, handler: FeedHandler): Promise<Served> {
  const connection = await KeyfeedConnection.open({ path, server });
  const ended = connection.serve(handler).then(
    () => undefined,
    (error: unknown) => error,
  );
  await eventually('the snapshot', () => plugin.received.some(({ kind }) => kind === 'agent-hello'));
  return { connection, ended };
}

type Served = { readonly connection: KeyfeedConnection; readonly ended: Promise<unknown> };

function isAgentError(code: AgentErrorCode, retryable: boolean, message: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.retryable, retryable, error.message);
    assert.match(error.message, message);
    return true;
  };
}

/** A unix socket whose every connection goes to `onConnection`. */
async function listen(path: string, onConnection: (socket: Socket) => void): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket.on('error', () => socket.destroy()));
    onConnection(socket);
  });
  listener.listen(path);
  await once(listener, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

test('hands over the snapshot whole and in order, then changes and requests', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using plugin = await FakePlugin.listen(path);
  plugin.sas = [sampleSa({ reqid: 1 }), sampleSa({ reqid: 2 })];
  plugin.policies = [samplePolicy()];
  const handler = new RecordingHandler();
  const { connection, ended } = await connect(plugin, path, handler);
  assert.equal(connection.hello.instance, plugin.hello.instance);

  await eventually('the snapshot', () => handler.snapshots.length === 1);
  assert.deepEqual(
    handler.snapshots[0]?.sas.map(({ reqid }) => reqid),
    [1, 2],
  );
  assert.deepEqual(handler.snapshots[0]?.policies, plugin.policies);

  connection.ready({ routeInterface: 'tun0', ackLatencyUs: 200 });
  await plugin.ready();
  plugin.change({ kind: 'del-sa', id: sampleSa().id });
  const result = await plugin.request({ kind: 'add-sa', awaited: true, sa: sampleSa() });
  assert.equal(result.code, 'ok');
  assert.deepEqual(
    handler.changes.map(({ kind }) => kind),
    ['del-sa'],
  );
  const request = handler.requests[0];
  assert.ok(request?.kind === 'add-sa');
  assert.equal(request.sa.encrKey?.lengthBytes, 20);
  assert.equal(request.sa.encrKey?.isWiped, false);

  await connection[Symbol.asyncDispose]();
  await connection[Symbol.asyncDispose]();
  assert.equal(await ended, undefined);
});

test('tells of setups that failed, between changes, without a number', async () => {
  await using dir = new TempDir();
  await using plugin = await FakePlugin.listen(dir.file('feed'));
  const handler = new RecordingHandler();
  const { connection } = await connect(plugin, dir.file('feed'), handler);
  await using _ = connection;
  const failure = {
    kind: 'setup-failed',
    ike: 'gw',
    child: 'net',
    code: 'try-again',
    reason: 'capacity: full',
  } as const;
  plugin.change({ kind: 'flush-sas' });
  plugin.send(failure);
  plugin.change({ kind: 'flush-policies' });
  await eventually('all three', () => handler.changes.length === 2);
  assert.deepEqual(handler.failures, [failure]);
});

test('answers in the order of the handler, not of the requests', async () => {
  await using dir = new TempDir();
  await using plugin = await FakePlugin.listen(dir.file('feed'));
  const handler = new RecordingHandler();
  const slow = Promise.withResolvers<RequestResult>();
  handler.answer = (request) => (request.kind === 'get-spi' ? slow.promise : { kind: 'ok' });
  const { connection } = await connect(plugin, dir.file('feed'), handler);
  await using _ = connection;

  const { source, destination } = sampleSa().id;
  const spi = plugin.request({ kind: 'get-spi', protocol: 'esp', source, destination });
  assert.equal((await plugin.request({ kind: 'probe' })).code, 'ok');
  slow.resolve({ kind: 'ok', spi: 0xc0a80001 });
  assert.equal((await spi).spi, 0xc0a80001);
});

test('turns what the handler throws into an answer with its reason', async () => {
  await using dir = new TempDir();
  await using plugin = await FakePlugin.listen(dir.file('feed'));
  const handler = new RecordingHandler();
  const { connection, ended } = await connect(plugin, dir.file('feed'), handler);
  await using _ = connection;
  const ask = async (answer: RecordingHandler['answer']): Promise<string> => {
    handler.answer = answer;
    const { code, reason } = await plugin.request({ kind: 'probe' });
    return `${code}: ${reason}`;
  };

  const refused = new AgentError('no chacha20', { code: 'refused' });
  const passing = new AgentError('no dataplane', { code: 'unavailable', retryable: true });
  assert.equal(await ask(() => ({ kind: 'try-again', reason: 'full' })), 'try-again: full');
  assert.equal(await ask(() => Promise.reject(refused)), 'refused: no chacha20');
  assert.equal(
    await ask(() => {
      throw passing;
    }),
    'try-again: no dataplane',
  );
  const long = await ask(() => ({ kind: 'refused', reason: 'x'.repeat(100_000) }));
  assert.ok(long.length < 1_100);

  const bug = new TypeError('a bug');
  assert.equal(await ask(() => Promise.reject(bug)), 'internal: a bug');
  assert.equal(await ended, bug);
});

test('ends with the error of a handler that fails on a change', async () => {
  await using dir = new TempDir();
  await using plugin = await FakePlugin.listen(dir.file('feed'));
  const bug = new TypeError('a bug');
  const handler = new RecordingHandler();
  const onChange = (): never => {
    throw bug;
  };
  const { ended } = await connect(plugin, dir.file('feed'), { ...handler, onChange });
  plugin.change({ kind: 'flush-sas' });
  assert.equal(await ended, bug);
});

test('counters of any number of SAs go out as the plugin reads, and hold up no answer', async () => {
  await using dir = new TempDir();
  await using plugin = await FakePlugin.listen(dir.file('feed'));
  const { connection } = await connect(plugin, dir.file('feed'), new RecordingHandler());
  await using _ = connection;
  const { protocol, spi, destination } = sampleSa().id;
  const counters = { bytes: 5n, packets: 1n, idleMs: undefined };
  const entry = {
    protocol,
    spi,
    destination: destination.address,
    direction: 'inbound',
    ...counters,
  } as const;
  // Together more than may be unsent of what cannot wait.
  connection.usage(Array.from({ length: 200_000 }, () => entry));
  connection.notReady('ahead of most of them');
  const count = (): number =>
    plugin.received.reduce(
      (sum, message) => sum + (message.kind === 'usage' ? message.entries.length : 0),
      0,
    );
  await eventually('all of them arrived', () => count() === 200_000);
  const at = plugin.received.findIndex(({ kind }) => kind === 'not-ready');
  assert.ok(at >= 0 && at < 3, `place ${at} of ${plugin.received.length}`);
});

test('speaks every message of the agent', async () => {
  await using dir = new TempDir();
  await using plugin = await FakePlugin.listen(dir.file('feed'));
  const { connection } = await connect(plugin, dir.file('feed'), new RecordingHandler());
  await using _ = connection;
  const { protocol, spi, source, destination } = sampleSa().id;
  const { source: sourceTs, destination: destinationTs } = samplePolicy();
  const entry = {
    protocol,
    spi,
    destination: destination.address,
    bytes: 5n,
    packets: 1n,
    idleMs: undefined,
  };
  connection.ready({ routeInterface: undefined, ackLatencyUs: 1 });
  connection.notReady('the dataplane is gone');
  connection.expire({ protocol, spi, destination, hard: true });
  connection.acquire({ reqid: 3, source: sourceTs, destination: destinationTs });
  connection.mapping({ protocol, spi, destination, newSource: source });
  connection.usage([]);
  connection.usage(Array.from({ length: 20_000 }, () => ({ ...entry, direction: 'inbound' as const })));
  connection.policyUsage([
    {
      direction: 'forward',
      source: sourceTs,
      destination: destinationTs,
      mark: undefined,
      ifId: undefined,
      idleMs: 1n,
    },
  ]);
  const kinds = [
    'agent-hello',
    'ready',
    'not-ready',
    'expire',
    'acquire',
    'mapping',
    'usage',
    'usage',
    'usage',
    'policy-usage',
  ];
  await eventually('all messages', () => plugin.received.length === kinds.length);
  assert.deepEqual(
    plugin.received.map(({ kind }) => kind),
    kinds,
  );
});

test('is refused while another agent is connected, and may try again', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using plugin = await FakePlugin.listen(path);
  const { connection } = await connect(plugin, path, new RecordingHandler());
  await using _ = connection;
  await assert.rejects(
    KeyfeedConnection.open({ path, server }),
    isAgentError('busy', true, /an agent is connected/),
  );
});

test('tells a plugin of another version its own, and gives up', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using plugin = await FakePlugin.listen(path, { version: 2 });
  await assert.rejects(
    KeyfeedConnection.open({ path, server }),
    isAgentError('unsupported', false, /version 2 .* version 1/),
  );
  await eventually('the version', () => plugin.received.length > 0);
  assert.deepEqual(plugin.received, [{ kind: 'agent-hello', version: 1, server, wantsFailures: true }]);
});

test('says who is missing when nobody listens', async () => {
  await using dir = new TempDir();
  await assert.rejects(
    KeyfeedConnection.open({ path: dir.file('feed'), server }),
    isAgentError('unavailable', true, /ENOENT.*is charon running, with the kernel-lagopus plugin/),
  );
});

test('does not wait for a silent plugin longer than the deadline, nor after an abort', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using _ = await listen(path, () => undefined);
  await assert.rejects(
    KeyfeedConnection.open({ path, server, handshakeTimeoutMs: 20 }),
    isAgentError('deadline', true, /did not finish the handshake in 20 ms/),
  );
  const signal = AbortSignal.timeout(20);
  await assert.rejects(
    KeyfeedConnection.open({ path, server, signal }),
    isAgentError('aborted', false, /stopped/),
  );
  await assert.rejects(
    KeyfeedConnection.open({ path, server, signal }),
    isAgentError('aborted', false, /stopped/),
  );
});

test('refuses what comes before the handshake', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using _ = await listen(path, (socket) => {
    socket.write(encodePluginMessage({ kind: 'snapshot-begin', seq: 1n }));
  });
  await assert.rejects(
    KeyfeedConnection.open({ path, server }),
    isAgentError('malformed', true, /snapshot-begin before the handshake, at byte 4/),
  );
});

test('ends on abort, on a hang-up, on an ERROR and on malformed bytes, each with its reason', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using plugin = await FakePlugin.listen(path);
  const garbage = Uint8Array.of(0, 0, 0, 2, 13, 0);
  const cases = [
    [() => plugin.hangUp(), isAgentError('unavailable', true, /plugin closed .*feed$/)],
    [
      () => plugin.sendBytes(garbage),
      isAgentError('malformed', true, /probe: 2 bytes expected, 1 there, at byte/),
    ],
    [
      () => plugin.send({ kind: 'error', code: 'overflow', reason: 'too slow' }),
      isAgentError('overflow', true, /too slow/),
    ],
    [
      () => plugin.send({ kind: 'snapshot-begin', seq: 99n }),
      isAgentError('malformed', true, /snapshot-begin in state live: a second snapshot/),
    ],
  ] as const;
  for (const [act, check] of cases) {
    const handler = new RecordingHandler();
    const { ended } = await connect(plugin, path, handler);
    await eventually('the snapshot', () => handler.snapshots.length === 1);
    act();
    check(await ended);
    await eventually('the end', () => !plugin.isConnected);
    plugin.received.length = 0;
  }

  await using connection = await KeyfeedConnection.open({ path, server });
  const stop = new AbortController();
  const served = connection.serve(new RecordingHandler(), { signal: stop.signal });
  stop.abort();
  await assert.rejects(served, isAgentError('aborted', false, /stopped/));
});

test('says when the plugin died in the middle of a frame', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using plugin = await FakePlugin.listen(path);
  const { ended } = await connect(plugin, path, new RecordingHandler());
  plugin.sendBytes(Uint8Array.of(0, 0, 1, 0, 6));
  setTimeout(() => plugin.hangUp(), 20);
  isAgentError('unavailable', true, /in the middle of a frame/)(await ended);
});

test('wipes the keys of a snapshot that never ended, and of an entry that is refused', async (t) => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  const entry = encodePluginMessage({ kind: 'add-sa', seq: 1n, awaited: false, sa: sampleSa() });
  await using _ = await listen(path, (socket) => {
    socket.write(
      encodePluginMessage({ kind: 'hello', version: 1, instance: '0'.repeat(32), server, deadlineMs: 1 }),
    );
    socket.once('data', () => {
      socket.write(encodePluginMessage({ kind: 'snapshot-begin', seq: 9n }));
      socket.write(entry);
      socket.write(entry);
    });
  });
  const wipe = t.mock.method(SecretBytes.prototype, 'wipe');
  await using connection = await KeyfeedConnection.open({ path, server });
  await assert.rejects(
    connection.serve(new RecordingHandler()),
    isAgentError('malformed', true, /number 1 after 1/),
  );
  assert.equal(wipe.mock.callCount(), 2);
});

test('stops with overflow rather than growing', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using plugin = await FakePlugin.listen(path);
  plugin.sas = [sampleSa(), sampleSa()];
  const handler = new RecordingHandler();
  handler.answer = () => new Promise(() => undefined);
  {
    await using connection = await KeyfeedConnection.open({ path, server, snapshotLimit: 1 });
    await assert.rejects(connection.serve(handler), isAgentError('overflow', false, /more than 1 entries/));
  }
  await eventually('the end', () => !plugin.isConnected);

  await using connection = await KeyfeedConnection.open({ path, server, pendingLimit: 2 });
  const served = connection.serve(handler);
  await eventually('the snapshot', () => handler.snapshots.length === 1);
  for (let count = 0; count < 3; count += 1) void plugin.request({ kind: 'probe' });
  await assert.rejects(served, isAgentError('overflow', true, /2 requests of charon are unanswered/));
});

test('stops with overflow when the plugin does not read', async () => {
  await using dir = new TempDir();
  const path = dir.file('feed');
  await using _ = await listen(path, (socket) => {
    socket.pause();
    socket.write(
      encodePluginMessage({ kind: 'hello', version: 1, instance: '0'.repeat(32), server, deadlineMs: 1 }),
    );
  });
  await using connection = await KeyfeedConnection.open({ path, server });
  const served = connection.serve(new RecordingHandler());
  const flood = setInterval(() => {
    for (let count = 0; count < 500; count += 1) connection.notReady('x'.repeat(1_000));
  }, 1);
  await assert
    .rejects(served, isAgentError('overflow', true, /does not read/))
    .finally(() => clearInterval(flood));
});

test('does not let an SPI be answered that is none', async () => {
  await using dir = new TempDir();
  await using plugin = await FakePlugin.listen(dir.file('feed'));
  const { ended } = await connect(plugin, dir.file('feed'), new RecordingHandler());
  const { source, destination } = sampleSa().id;
  void plugin.request({ kind: 'get-spi', protocol: 'esp', source, destination });
  assert.ok((await ended) instanceof InvariantError);
});
