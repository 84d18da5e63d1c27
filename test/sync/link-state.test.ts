import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataplaneCapabilities } from '../../src/sync/index.ts';
import { type LinkEvent, type LinkState, nextLink } from '../../src/sync/link-state.ts';

const capabilities: DataplaneCapabilities = {
  bootId: '00',
  server: 'fake',
  maxBatch: 1,
  ackLatencyUs: 0,
  routeInterface: undefined,
  takesReplayState: true,
  hasScarceSpis: false,
  waitsForInSync: false,
};

const STATES = {
  'down, no snapshot': { kind: 'down', hasSnapshot: false, reason: '' },
  'down, snapshot': { kind: 'down', hasSnapshot: true, reason: '' },
  'no-snapshot': { kind: 'no-snapshot', capabilities },
  acquiring: { kind: 'acquiring', capabilities },
  up: { kind: 'up', capabilities },
  fenced: { kind: 'fenced', capabilities, reason: '' },
} as const satisfies Record<string, LinkState>;

const EVENTS = {
  up: { kind: 'dataplane-up', capabilities },
  down: { kind: 'dataplane-down', reason: '' },
  snapshot: { kind: 'snapshot' },
  acquired: { kind: 'acquired' },
  ambiguous: { kind: 'ambiguous' },
  fenced: { kind: 'fenced', reason: '' },
} as const satisfies Record<string, LinkEvent>;

const SAME = 'the same object';

/** Every state and every event. */
const TABLE: Record<keyof typeof STATES, Record<keyof typeof EVENTS, string>> = {
  'down, no snapshot': {
    up: 'no-snapshot',
    down: 'down',
    snapshot: 'down',
    acquired: SAME,
    ambiguous: SAME,
    fenced: SAME,
  },
  'down, snapshot': {
    up: 'acquiring',
    down: 'down',
    snapshot: 'down',
    acquired: SAME,
    ambiguous: SAME,
    fenced: SAME,
  },
  'no-snapshot': {
    up: 'no-snapshot',
    down: 'down',
    snapshot: 'acquiring',
    acquired: SAME,
    ambiguous: SAME,
    fenced: SAME,
  },
  acquiring: {
    up: 'acquiring',
    down: 'down',
    snapshot: SAME,
    acquired: 'up',
    ambiguous: SAME,
    fenced: 'fenced',
  },
  up: {
    up: 'acquiring',
    down: 'down',
    snapshot: SAME,
    acquired: SAME,
    ambiguous: 'acquiring',
    fenced: 'fenced',
  },
  fenced: {
    up: 'acquiring',
    down: 'down',
    snapshot: 'acquiring',
    acquired: SAME,
    ambiguous: SAME,
    fenced: SAME,
  },
};

function keysOf<T extends object>(value: T): (keyof T)[] {
  return Object.keys(value).filter((key): key is Extract<keyof T, string> => key in value);
}

for (const from of keysOf(STATES)) {
  for (const event of keysOf(EVENTS)) {
    const to = TABLE[from][event];
    test(`${from}, ${event}: ${to}`, () => {
      const next = nextLink(STATES[from], EVENTS[event]);
      if (to === SAME) assert.equal(next, STATES[from]);
      else {
        assert.equal(next.kind, to);
        assert.notEqual(next, STATES[from]);
      }
    });
  }
}

test('remembers through an outage whether there was a snapshot', () => {
  assert.equal(nextLink(nextLink(STATES.up, EVENTS.down), EVENTS.up).kind, 'acquiring');
  assert.equal(nextLink(nextLink(STATES['no-snapshot'], EVENTS.down), EVENTS.up).kind, 'no-snapshot');
});
