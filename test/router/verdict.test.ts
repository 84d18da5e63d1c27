import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allHeld, formatReport } from './report.ts';
import { runScenarios } from './scenario.ts';
import { allArrived, noneArrived, nothingInClear, sameSas } from './verdict.ts';

test('every packet has to arrive, both ways', () => {
  const all = { sent: 5, received: 5 };
  assert.deepEqual(allArrived({ out: all, back: all }, 'done'), {
    held: true,
    figures: 'out 5 of 5, back 5 of 5; done',
  });
  assert.deepEqual(allArrived({ out: all, back: { sent: 5, received: 4, gaps: [{ first: 2, count: 1 }] } }), {
    held: false,
    figures: 'out 5 of 5, back 4 of 5 (lost 1 at 2)',
  });
  assert(!allArrived({ out: { sent: 0, received: 0 }, back: all }).held);
});

test('no packet may arrive, of some that were sent', () => {
  assert(noneArrived({ sent: 5, received: 0 }).held);
  assert(!noneArrived({ sent: 5, received: 1 }).held);
  assert(!noneArrived({ sent: 0, received: 0 }).held);
});

test('the same SAs in the same order, and at least one', () => {
  assert.deepEqual(sameSas(['in 1', 'out 2'], ['in 1', 'out 2']), { held: true, figures: '2 SAs' });
  assert.deepEqual(sameSas(['in 1', 'out 2'], ['out 2', 'in 1']), {
    held: false,
    figures: '2 SAs; order: out 2, in 1',
  });
  assert.deepEqual(sameSas(['in 1', 'out 2'], ['in 1', 'out 3']), {
    held: false,
    figures: '2 SAs; missing: out 2; unexpected: out 3',
  });
  assert(!sameSas([], []).held);
});

test('the wire has ESP, nothing in clear and no sequence number twice', () => {
  const counts = { esp: 9, repeated: 0, ike: 4, clear: 0, other: 1 };
  assert(nothingInClear(counts).held);
  for (const bad of [{ clear: 1 }, { repeated: 1 }, { esp: 0 }]) {
    assert(!nothingInClear({ ...counts, ...bad }).held);
  }
});

test('a scenario that throws has failed, and the next one is run', async () => {
  const fail = async (): Promise<never> => {
    throw new Error('no route\n  at the\n peer\n and more');
  };
  const hold = async () => ({ held: true, figures: '' });
  const told: string[] = [];
  const scenarios = [
    { name: 'a', run: fail },
    { name: 'b', run: hold },
  ];
  const lines = await runScenarios(scenarios, undefined, ({ name }) => told.push(name));
  assert.deepEqual(told, ['a', 'b']);
  assert.deepEqual(
    lines.map(({ verdict }) => verdict),
    [
      { held: false, figures: 'no route   at the  peer' },
      { held: true, figures: '' },
    ],
  );
  assert(!allHeld(lines));
});

test('after one that does not end in time nothing is run', async () => {
  const hang = (): Promise<never> => new Promise(() => undefined);
  const scenarios = [
    { name: 'hangs', run: hang },
    { name: 'after', run: hang },
  ];
  const lines = await runScenarios(scenarios, undefined, () => undefined, 10);
  assert.deepEqual(formatReport(lines).split('\n'), [
    '| what  | verdict | figures           |',
    '|-------|---------|-------------------|',
    '| hangs | FAILED  | not within 0.01 s |',
    '| after | not run |                   |',
  ]);
  assert(!allHeld(lines));
});

test('after a needed one that failed only those are run that make sense always', async () => {
  const outcomes = { a: { held: true, figures: '' }, b: { held: false, figures: '' } };
  const scenarios = [
    { name: 'a', run: async () => outcomes.a, isNeeded: true },
    { name: 'b', run: async () => outcomes.b, isNeeded: true },
    { name: 'c', run: async () => outcomes.a },
    { name: 'd', run: async () => outcomes.a, isAlways: true },
  ];
  const lines = await runScenarios(scenarios, undefined, () => undefined);
  assert.deepEqual(
    lines.map(({ verdict }) => verdict?.held),
    [true, false, undefined, true],
  );
});

test('a cell that would break the table does not', () => {
  const line = { name: 'a', verdict: { held: true, figures: 'x | y\nz' } };
  assert.match(formatReport([line]), /\| a {4}\| held {4}\| x \/ y z \|$/);
  assert(allHeld([line]));
});
