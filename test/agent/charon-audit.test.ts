import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CharonAudit } from '../../src/agent/charon-audit.ts';
import { type SaId, toSpi } from '../../src/sad/index.ts';
import type { ChildSaListing, ChildSaView } from '../../src/sync/index.ts';
import { type Logger, silentLogger } from '../../src/util/index.ts';
import { FakeClock } from '../support/fake-clock.ts';

const [IN, OUT] = [0x1001, 0x2001];

function child(change: Partial<ChildSaView> = {}): ChildSaView {
  return {
    ...{ name: 'net', childId: '7', ikeId: '1', state: 'INSTALLED', protocol: 'esp' },
    ...{ inboundSpi: toSpi(IN), outboundSpi: toSpi(OUT) },
    ...change,
  };
}

function listing(children: readonly ChildSaView[], isComplete = true): ChildSaListing {
  return { children, isComplete };
}

function id(direction: SaId['direction'], spi: number): SaId {
  return { direction, protocol: 'esp', spi: toSpi(spi), destination: '198.18.0.1' };
}

const BOTH = [id('inbound', IN), id('outbound', OUT)];

function told(ids: readonly SaId[]): { readonly before: readonly SaId[]; readonly after: readonly SaId[] } {
  return { before: ids, after: ids };
}

/** An audit, and what it says in the log. */
function start(): { audit: CharonAudit; clock: FakeClock; said: () => readonly string[] } {
  const messages: string[] = [];
  const error: Logger['error'] = (...args: readonly unknown[]) => {
    messages.push(String(args.at(-1)));
  };
  const clock = new FakeClock();
  const audit = new CharonAudit({ clock, logger: { ...silentLogger, error } });
  return { audit, clock, said: () => messages };
}

function found(audit: CharonAudit): readonly string[] {
  return audit.report().findings.map(({ kind, sa }) => `${kind} ${sa}`);
}

test('finds nothing where charon and its plugin agree', () => {
  const { audit, said } = start();
  for (let round = 0; round < 3; round += 1) audit.note(listing([child()]), told(BOTH));
  assert.deepEqual([found(audit), said()], [[], []]);
  assert.equal(audit.report().completeListings, 3);
});

test('says once that the plugin did not tell of an SA, after two listings have it', async () => {
  const { audit, clock, said } = start();
  audit.note(listing([child()]), told([BOTH[0] ?? assert.fail()]));
  assert.deepEqual(found(audit), []);
  await clock.advance(30_000);
  for (let round = 0; round < 3; round += 1) audit.note(listing([child()]), told(BOTH.slice(0, 1)));
  assert.deepEqual(found(audit), ['untold outbound esp 00002001']);
  assert.equal(audit.report().findings[0]?.childSa, 'net{7}');
  assert.equal(audit.report().findings[0]?.sinceSeconds, 30);
  assert.equal(said().length, 1);
  assert.equal(audit.findingOf(id('outbound', OUT)), 'untold');
  audit.note(listing([child()]), told(BOTH));
  assert.deepEqual(found(audit), []);
});

test('says once that charon does not list an SA, after two complete listings lack it', () => {
  const { audit, said } = start();
  audit.note(listing([]), told(BOTH));
  assert.deepEqual(found(audit), []);
  audit.note(listing([]), told(BOTH));
  audit.note(listing([]), told(BOTH));
  assert.deepEqual(found(audit), ['unlisted inbound esp 00001001', 'unlisted outbound esp 00002001']);
  assert.equal(said().length, 2);
  audit.note(listing([child()]), told(BOTH));
  assert.deepEqual(found(audit), []);
});

test('takes absence from an incomplete listing for nothing, and presence in one for presence', () => {
  const { audit } = start();
  for (let round = 0; round < 3; round += 1) audit.note(listing([], false), told(BOTH));
  assert.deepEqual(found(audit), []);
  audit.note(listing([]), told(BOTH));
  audit.note(listing([child()], false), told(BOTH));
  audit.note(listing([]), told(BOTH));
  assert.deepEqual(found(audit), []);
  audit.note(listing([], false), told(BOTH));
  audit.note(listing([]), told(BOTH));
  assert.equal(found(audit).length, 2);
  assert.equal(audit.report().incompleteListings, 5);
});

test('takes a listing for nothing while a CHILD_SA shows no SPIs', () => {
  const { audit } = start();
  const updating = child({ state: 'UPDATING', inboundSpi: undefined, outboundSpi: undefined });
  for (let round = 0; round < 3; round += 1) audit.note(listing([updating]), told(BOTH));
  assert.deepEqual(found(audit), []);
});

test('leaves out what comes or goes while charon is listed', () => {
  const { audit } = start();
  for (let round = 0; round < 3; round += 1) {
    audit.note(listing([]), { before: [], after: BOTH });
    audit.note(listing([child()]), { before: BOTH, after: [] });
  }
  assert.deepEqual(found(audit), []);
});

test('wants nothing told of a replaced CHILD_SA, whose outbound SA is gone before it', () => {
  const { audit } = start();
  for (const state of ['REKEYED', 'DELETED', 'DELETING']) {
    for (let round = 0; round < 3; round += 1) {
      audit.note(listing([child({ state })]), told(BOTH.slice(0, 1)));
    }
    assert.deepEqual(found(audit), [], state);
  }
});
