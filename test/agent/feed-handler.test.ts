import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFeedHandler } from '../../src/agent/feed-handler.ts';
import type { FeedSaId } from '../../src/keyfeed/index.ts';
import type { SyncChange } from '../../src/sync/index.ts';
import { silentLogger } from '../../src/util/index.ts';

/** As a peer may choose it: charon takes any SPI. */
const RESERVED_SPI = 16;

function outboundId(spi: number): FeedSaId {
  const [source, destination] = ['198.18.0.1', '198.18.0.2'].map((address) => ({ address, port: 500 }));
  assert(source !== undefined && destination !== undefined);
  return {
    direction: 'outbound',
    protocol: 'esp',
    spi,
    source,
    destination,
    mark: undefined,
    ifId: undefined,
  };
}

test('takes the deletion of an SA that could not be expressed for what it is: nothing', () => {
  const changes: SyncChange[] = [];
  const handler = createFeedHandler({
    engine: {
      replaceDesired: () => assert.fail('no snapshot'),
      handle: () => assert.fail('no request'),
      change: (change) => changes.push(change),
      setupFailed: () => assert.fail('no failure'),
    },
    charonInstanceId: '00'.repeat(16),
    charonStartedMs: undefined,
    vrfOf: () => undefined,
    probe: () => Promise.resolve(),
    onSnapshot: () => assert.fail('no snapshot'),
    logger: silentLogger,
  });
  handler.onChange({ kind: 'del-sa', seq: 1n, id: outboundId(RESERVED_SPI) });
  assert.deepEqual(changes, []);
  handler.onChange({ kind: 'del-sa', seq: 2n, id: outboundId(0xc0000001) });
  assert.equal(changes.length, 1);
});

test('passes on which setups failed, and whether for good', () => {
  const failures: unknown[] = [];
  const handler = createFeedHandler({
    engine: {
      replaceDesired: () => assert.fail('no snapshot'),
      handle: () => assert.fail('no request'),
      change: () => assert.fail('no change'),
      setupFailed: (name, failure) => failures.push([name, failure]),
    },
    charonInstanceId: '00'.repeat(16),
    charonStartedMs: undefined,
    vrfOf: () => undefined,
    probe: () => Promise.resolve(),
    onSnapshot: () => assert.fail('no snapshot'),
    logger: silentLogger,
  });
  const names = { ike: 'gw', child: 'net' };
  for (const code of ['try-again', 'refused'] as const) {
    handler.onSetupFailed({ kind: 'setup-failed', ...names, code, reason: 'why' });
  }
  assert.deepEqual(failures, [
    [names, { isPassing: true, reason: 'why' }],
    [names, { isPassing: false, reason: 'why' }],
  ]);
});
