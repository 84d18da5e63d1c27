import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SyncAnswer } from '../../src/sync/index.ts';
import { eventually } from '../support/eventually.ts';
import { SyncLab, type TestAgent } from '../support/sync-lab.ts';

const reserve = (agent: TestAgent, destination = '198.18.0.1'): Promise<SyncAnswer> =>
  agent.engine.handle({ kind: 'reserve-spi', protocol: 'esp', source: '198.18.0.2', destination });

/** Takes `count` SPIs, letting the stock fill up in between. */
async function takeInTurn(agent: TestAgent, count: number): Promise<readonly SyncAnswer[]> {
  const answers: SyncAnswer[] = [];
  for (let taken = 0; taken < count; taken += 1) {
    answers.push(await reserve(agent));
    // Its listings are answered after every batch that was sent before.
    await eventually('all were sent', () => agent.engine.status().waitingRequests === 0);
    await agent.engine.audit();
  }
  assert.ok(answers.every(({ kind }) => kind === 'ok'));
  return answers;
}

test('keeps more SPIs in stock the more are asked for, and hands none out twice', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const answers = await takeInTurn(agent, 40);
  const spis = answers.map((answer) => (answer.kind === 'ok' ? answer.spi : undefined));
  assert.equal(new Set(spis).size, 40);
  assert.ok(lab.dataplane.batches.length < 15, `${lab.dataplane.batches.length} batches for 40 SPIs`);
});

test('asks the dataplane again for another receiver', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await takeInTurn(agent, 10);
  const { length } = lab.dataplane.batches;
  assert.equal((await reserve(agent, '198.18.0.9')).kind, 'ok');
  assert.ok(lab.dataplane.batches.length > length);
});

test('hands out no SPI that was in stock for 15 s', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const before = await takeInTurn(agent, 10);
  await agent.clock.advance(15_000);
  const { length } = lab.dataplane.batches;
  const after = await reserve(agent);
  assert.ok(lab.dataplane.batches.length > length);
  assert.ok(
    !before.some((answer) => answer.kind === 'ok' && after.kind === 'ok' && answer.spi === after.spi),
  );
});

test('forgets the stock when the dataplane goes', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  await takeInTurn(agent, 10);
  lab.dataplane.stop();
  await agent.untilNotReady();
  assert.equal((await reserve(agent)).kind, 'try-again');
});

test('reserves no SPI ahead where each takes one of few slots', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.mustReserveSpi = true;
  const agent = await lab.agent();
  await agent.ready();
  await takeInTurn(agent, 10);
  assert.equal(lab.dataplane.arrived.filter((kind) => kind === 'reserveSpi').length, 10);
});
