import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { LagopusDataplane } from '../../src/lagopus/index.ts';
import { ResultCode } from '../../src/proto/index.ts';
import type { Operation } from '../../src/sad/index.ts';
import { AgentError } from '../../src/util/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakeDataplane } from '../support/fake-dataplane.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { TempDir } from '../support/temp-dir.ts';

const OPTIONS = { deadlineMs: 150, charonInstanceId: '0a'.repeat(16) };

const add = (spi: number): Operation => ({ kind: 'add-sa', sa: sampleSa({ direction: 'inbound', spi }) });

async function connect(stack: AsyncDisposableStack, options: { chunkSize?: number } = {}) {
  const dir = stack.use(new TempDir());
  const server = stack.use(new FakeDataplane(dir.file('dataplane.sock')));
  if (options.chunkSize !== undefined) server.chunkSize = options.chunkSize;
  await server.start();
  const dataplane = stack.use(await LagopusDataplane.open({ target: server.target, ownerId: 'test' }));
  return { server, dataplane };
}

test('applies a batch and lists what it made', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, dataplane } = await connect(stack);
  assert.equal((await dataplane.capabilities()).bootId, server.bootId);
  await dataplane.acquireWriter();
  const user = sampleUser({ direction: 'inbound', spi: 0x1001 });
  const outcome = await dataplane.apply(
    [add(0x1001), { kind: 'put-policy', policy: { ...user, priority: 5 } }],
    OPTIONS,
  );
  assert.deepEqual(outcome, {
    kind: 'done',
    results: Array.from({ length: 2 }, () => ({
      kind: 'ok',
      isUnchanged: false,
      spi: undefined,
      counters: undefined,
    })),
    revision: 2n,
  });
  const { sas, bootId } = await dataplane.listSas(randomBytes(32));
  assert.equal(bootId, server.bootId);
  assert.deepEqual(
    sas.map(({ sa, charonInstanceId, keyFingerprint }) => [
      sa.id.spi,
      charonInstanceId,
      keyFingerprint?.length,
    ]),
    [[0x1001, OPTIONS.charonInstanceId, 64]],
  );
  assert.equal((await dataplane.listCounters()).usages[0]?.id.spi, 0x1001);
  assert.equal((await dataplane.listPolicies()).policies[0]?.policy.priority, 5);
});

test('puts a listing together from its chunks', async () => {
  await using stack = new AsyncDisposableStack();
  const { dataplane } = await connect(stack, { chunkSize: 2 });
  await dataplane.acquireWriter();
  await dataplane.apply(
    [1, 2, 3, 4, 5].map((spi) => add(0x1000 + spi)),
    OPTIONS,
  );
  assert.equal((await dataplane.listSas(randomBytes(16))).sas.length, 5);
});

test('refuses a listing that ends before it is complete', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, dataplane } = await connect(stack);
  server.cutsListings = true;
  await assert.rejects(dataplane.listPolicies(), { code: 'malformed' });
});

test('tells each refusal of the dataplane with its reason', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, dataplane } = await connect(stack);
  await dataplane.acquireWriter();
  server.refuseNext('addSa', ResultCode.RESULT_CODE_SPI_COLLISION);
  const outcome = await dataplane.apply([add(0x1001), add(0x1002)], OPTIONS);
  assert.deepEqual(
    outcome.kind === 'done' && outcome.results.map((result) => (result.kind === 'ok' ? 'ok' : result.code)),
    ['spi-collision', 'ok'],
  );
});

test('a batch without the role of the writer is fenced', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, dataplane } = await connect(stack);
  assert.equal((await dataplane.apply([add(0x1001)], OPTIONS)).kind, 'fenced');
  await dataplane.acquireWriter();
  assert.equal((await dataplane.apply([add(0x1001)], OPTIONS)).kind, 'done');
  server.fence('test');
  assert.equal((await dataplane.apply([add(0x1002)], OPTIONS)).kind, 'fenced');
});

test('a late answer, a cut stream and a stop leave an unknown outcome, and the next batch works', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, dataplane } = await connect(stack);
  await dataplane.acquireWriter();
  server.failNext('addSa', { kind: 'hang' });
  assert.deepEqual(await dataplane.apply([add(0x1001)], OPTIONS), {
    kind: 'unknown',
    reason: 'no answer within 150 ms',
  });
  server.failNext('addSa', { kind: 'cut', isApplied: true });
  assert.equal((await dataplane.apply([add(0x1002)], OPTIONS)).kind, 'unknown');
  const stop = new AbortController();
  server.failNext('addSa', { kind: 'hang' });
  const stopped = dataplane.apply([add(0x1003)], { ...OPTIONS, signal: stop.signal });
  await eventually('it arrived', () => server.arrived.length === 3, { intervalMs: 1 });
  stop.abort();
  assert.equal((await stopped).kind, 'unknown');
  assert.equal((await dataplane.apply([add(0x1004)], OPTIONS)).kind, 'done');
});

test('matches pipelined answers with requests by their order', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, dataplane } = await connect(stack);
  await dataplane.acquireWriter();
  server.refuseNext('addSa');
  const outcomes = await Promise.all(
    [add(0x1001), add(0x1002)].map((operation) => dataplane.apply([operation], OPTIONS)),
  );
  assert.deepEqual(
    outcomes.map((outcome) => outcome.kind === 'done' && outcome.results[0]?.kind),
    ['refused', 'ok'],
  );
});

test('a call to a dataplane that is not there fails at once and says why', async () => {
  await using dir = new TempDir();
  const target = `unix://${dir.file('none.sock')}`;
  await using dataplane = await LagopusDataplane.open({ target, ownerId: 'test' });
  const isTold = (error: unknown): boolean =>
    error instanceof AgentError &&
    error.retryable &&
    error.code === 'unavailable' &&
    /ENOENT/.test(error.message);
  await assert.rejects(dataplane.capabilities(), isTold);
  await assert.rejects(dataplane.listPolicies(), isTold);
  assert.equal((await dataplane.apply([add(0x1001)], OPTIONS)).kind, 'unknown');
});

test('asks again for a listing that was unavailable, three times in all', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, dataplane } = await connect(stack);
  server.unavailableReads = 2;
  assert.deepEqual((await dataplane.listPolicies()).policies, []);
  server.unavailableReads = 3;
  await assert.rejects(dataplane.listPolicies(), { code: 'unavailable', retryable: true });
  assert.equal(server.unavailableReads, 0);
});

test('a call ends by its deadline, or when it is stopped', async () => {
  await using stack = new AsyncDisposableStack();
  const { server } = await connect(stack);
  server.isMute = true;
  const dataplane = stack.use(
    await LagopusDataplane.open({ target: server.target, ownerId: 'test', callDeadlineMs: 80 }),
  );
  await assert.rejects(dataplane.capabilities(), { code: 'deadline', retryable: true });
  const stop = new AbortController();
  const waiting = dataplane.capabilities({ signal: stop.signal });
  stop.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
});

test('delivers events, and resumes after the last one it saw', async () => {
  await using stack = new AsyncDisposableStack();
  const { server, dataplane } = await connect(stack);
  const seen: string[] = [];
  const id = {
    direction: 1,
    protocol: 50,
    spi: 0x1001,
    destination: { value: Buffer.of(198, 18, 0, 1) },
  } as const;
  const expire = {
    id: { ...id, mark: undefined, ifId: 0, outerVrf: '' },
    hard: true,
    reason: 1,
    reqid: 3,
    counters: undefined,
  } as const;
  for (const last of ['expire', 'gap']) {
    for await (const event of dataplane.watchEvents()) {
      seen.push(event.kind);
      if (event.kind === 'boot') server.emit(last === 'expire' ? { expire } : { gap: {} });
      if (event.kind === last) break;
    }
  }
  assert.deepEqual(seen, ['boot', 'expire', 'boot', 'gap']);
  assert.deepEqual(server.resumedAfter, [0n, 1n]);
});
