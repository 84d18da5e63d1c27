import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FeedState, stepFeed } from '../../src/keyfeed/feed-state.ts';
import type { PluginMessage } from '../../src/keyfeed/index.ts';
import { samplePolicy, sampleSa } from './samples.ts';

function run(...messages: readonly PluginMessage[]): readonly string[] {
  let state: FeedState = { kind: 'greeted' };
  return messages.map((message, index) => {
    const step = stepFeed(state, message, index);
    state = step.state;
    return step.kind;
  });
}

const sa = (seq: bigint, awaited = false): PluginMessage => ({
  kind: 'add-sa',
  seq,
  awaited,
  sa: sampleSa(),
});
const policy = (seq: bigint, awaited = false): PluginMessage => ({
  kind: 'add-policy',
  seq,
  awaited,
  policy: samplePolicy(),
});
const begin = (seq: bigint): PluginMessage => ({ kind: 'snapshot-begin', seq });
const end = (seq: bigint, count: number): PluginMessage => ({ kind: 'snapshot-end', seq, count });

test('tells entries, requests and changes apart', () => {
  assert.deepEqual(
    run(
      begin(9n),
      sa(3n),
      policy(9n),
      end(9n, 2),
      sa(10n, true),
      sa(12n),
      policy(13n, true),
      policy(14n),
      { kind: 'probe', seq: 15n },
      { kind: 'del-sa', seq: 16n, id: sampleSa().id },
      { kind: 'flush-sas', seq: 17n },
    ),
    [
      'snapshot-begin',
      'snapshot-entry',
      'snapshot-entry',
      'snapshot-end',
      'request',
      'change',
      'request',
      'change',
      'request',
      'change',
      'change',
    ],
  );
});

const failed: PluginMessage = {
  kind: 'setup-failed',
  ike: 'gw',
  child: 'net',
  code: 'try-again',
  reason: 'full',
};

test('a failed setup has no number, and leaves those of changes alone', () => {
  assert.deepEqual(run(begin(5n), end(5n, 0), failed, sa(6n, true), failed), [
    'snapshot-begin',
    'snapshot-end',
    'setup-failed',
    'request',
    'setup-failed',
  ]);
});

test('accepts an empty snapshot of a charon that has done nothing yet', () => {
  assert.deepEqual(run(begin(0n), end(0n, 0), sa(1n, true)), ['snapshot-begin', 'snapshot-end', 'request']);
});

test('refuses what may not come there', () => {
  const cases: readonly (readonly [readonly PluginMessage[], RegExp])[] = [
    [[sa(1n)], /before the snapshot/],
    [[end(1n, 0)], /no snapshot has begun/],
    [[begin(5n), begin(5n)], /a second snapshot/],
    [[begin(5n), end(5n, 0), begin(5n)], /a second snapshot/],
    [[begin(5n), sa(4n), end(5n, 2)], /1 entries, 2 announced/],
    [[begin(5n), sa(4n), end(6n, 1)], /number 6, begun as 5/],
    [[begin(5n), sa(4n), sa(4n)], /number 4 after 4/],
    [[begin(5n), sa(6n)], /above the snapshot's 5/],
    [[begin(5n), sa(4n, true)], /awaits a result/],
    [[begin(5n), { kind: 'probe', seq: 4n }], /not an entry/],
    [[begin(5n), end(5n, 0), sa(5n, true)], /number 5 after 5/],
    [
      [begin(5n), end(5n, 0), { kind: 'flush-sas', seq: 7n }, { kind: 'flush-sas', seq: 6n }],
      /number 6 after 7/,
    ],
    [[failed], /before the end of the snapshot/],
    [[begin(5n), failed], /before the end of the snapshot/],
    [[{ kind: 'error', code: 'internal', reason: '' }], /not expected/],
  ];
  for (const [messages, problem] of cases) assert.throws(() => run(...messages), problem);
});
