import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INITIAL_CONNECTION, nextConnection } from '../../src/lagopus/connection-state.ts';
import { type ConnectionState, LagopusDataplane, superviseDataplane } from '../../src/lagopus/index.ts';
import { silentLogger } from '../../src/util/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakeDataplane } from '../support/fake-dataplane.ts';
import { TempDir } from '../support/temp-dir.ts';

const CAPABILITIES = {
  bootId: '00',
  server: 'fake',
  maxBatch: 1,
  ackLatencyUs: 0,
  routeInterface: undefined,
  takesReplayState: true,
  hasScarceSpis: false,
  waitsForInSync: false,
};

test('connects when the dataplane comes, says when it goes, and finds it again', async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir());
  const server = stack.use(new FakeDataplane(dir.file('dataplane.sock')));
  const dataplane = stack.use(
    await LagopusDataplane.open({ target: server.target, ownerId: 'test', callDeadlineMs: 300 }),
  );
  const calls: string[] = [];
  const states: ConnectionState['kind'][] = [];
  const stop = new AbortController();
  const supervision = superviseDataplane({
    dataplane,
    logger: silentLogger,
    signal: stop.signal,
    onUp: ({ bootId }) => calls.push(`up ${bootId}`),
    onDown: () => calls.push('down'),
    onEvent: ({ kind }) => calls.push(kind),
    onState: ({ kind }) => states.push(kind),
  });
  await eventually('it failed to connect', () => states.length > 0);
  await server.start();
  const first = server.bootId;
  await eventually('it is up', () => calls.length === 1, { intervalMs: 1 });
  server.emit({ gap: {} });
  await eventually('the event came', () => calls.length === 2, { intervalMs: 1 });
  await server.restart();
  await eventually('it is up again', () => calls.length === 4, { intervalMs: 1 });
  assert.deepEqual(calls, [`up ${first}`, 'gap', 'down', `up ${server.bootId}`]);
  stop.abort();
  await supervision;
  assert.equal(calls.length, 4);
});

test('counts attempts until it is connected', () => {
  let state = INITIAL_CONNECTION;
  state = nextConnection(state, { kind: 'failed', reason: 'a' });
  state = nextConnection(state, { kind: 'failed', reason: 'b' });
  assert.deepEqual(state, { kind: 'connecting', attempts: 2, reason: 'b' });
  state = nextConnection(state, { kind: 'connected', capabilities: CAPABILITIES });
  assert.deepEqual(state, { kind: 'watching', capabilities: CAPABILITIES });
  assert.deepEqual(nextConnection(state, { kind: 'lost', reason: 'c' }), {
    kind: 'connecting',
    attempts: 0,
    reason: 'c',
  });
});
