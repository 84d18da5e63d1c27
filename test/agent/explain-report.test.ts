import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CharonSa } from '../../src/agent/charon-sas.ts';
import { type ExplainSources, toExplainReport } from '../../src/agent/explain-report.ts';
import { saKey, toSpi } from '../../src/sad/index.ts';
import type { SaStory } from '../../src/sync/index.ts';
import { sampleSa } from '../support/sample-sas.ts';

const SPI = toSpi(0x1001);
const SA = sampleSa({ direction: 'outbound', spi: SPI });

const CHARON: CharonSa = {
  ...{ direction: 'outbound', protocol: 'esp', spi: SPI, destination: '198.18.0.2' },
  entry: {
    ...{ childSa: 'net{1}', ikeSa: 'gw[1]', state: 'INSTALLED', algorithm: 'AES_GCM_16-128' },
    ...{ installedSecondsAgo: 5, rekeyInSeconds: 100, lifeInSeconds: 200 },
  },
};

function story(change: Partial<SaStory> = {}): SaStory {
  return {
    ...{ key: saKey(SA.id), desired: SA, pending: [], journal: [] },
    ...{ repair: undefined, rekey: undefined, isExpired: false },
    ...change,
  };
}

function explain(change: Partial<ExplainSources>) {
  return toExplainReport({
    ...{ spi: SPI, source: 'plugin', now: new Date(60_000), stories: [], charon: undefined },
    ...{ actual: undefined, plan: undefined, knownSpis: [], nextComparisonInMs: 12_000, unasked: [] },
    remarksOn: () => [],
    ...change,
  });
}

test('puts what charon, the plugin and the journal know of one SA together', () => {
  const journal = [
    {
      ...{ kind: 'installed' as const, firstMs: 0, lastMs: 0, times: 1, detail: undefined },
      ...{ firstAgoMs: 5_000, lastAgoMs: 5_000 },
    },
  ];
  const { sas } = explain({ stories: [story({ journal })], charon: { sas: [CHARON], spis: [] } });
  assert.equal(sas.length, 1);
  assert.deepEqual(
    [sas[0]?.charon?.childSa, sas[0]?.desired?.algorithm, sas[0]?.dataplane],
    ['net{1}', 'AES_GCM_16-128', null],
  );
  assert.deepEqual(sas[0]?.story, [
    {
      ...{ at: '1970-01-01T00:00:55.000Z', agoSeconds: 5, firstAgoSeconds: 5 },
      ...{ what: 'installed', times: 1, detail: null },
    },
  ]);
});

test('keeps two SAs apart that differ in their mark, which charon does not tell', () => {
  const marked = { ...SA, id: { ...SA.id, mark: { value: 7, mask: 255 } } };
  const stories = [story(), story({ key: saKey(marked.id), desired: marked })];
  const { sas } = explain({ stories, charon: { sas: [CHARON], spis: [] } });
  assert.deepEqual(
    sas.map(({ qualifiers, charon }) => [qualifiers, charon?.childSa]),
    [
      ['', 'net{1}'],
      ['mark 7/255', 'net{1}'],
    ],
  );
});

test('tells what is pending and what comes next, with times', () => {
  const key = saKey(SA.id);
  const { sas } = explain({
    stories: [
      story({
        pending: [{ stage: 'waiting', what: 'update-sa', keys: [key] }],
        repair: { attempts: 3, reason: 'no room', nextTryInMs: 4_000 },
        rekey: { attempts: 1, reason: 'lost', nextTryInMs: 0 },
        isExpired: true,
      }),
    ],
    plan: {
      ...{ isInSync: false, entries: [], isSent: true },
      operations: [{ operation: 'delete-sa', what: key }],
      rekeys: [{ sa: key, attempts: 1, nextTryInMs: 30_000 }],
      withheld: [{ what: key, reason: 'in back-off', nextTryInMs: 4_000 }],
    },
  });
  assert.deepEqual(sas[0]?.pending, [
    'update-sa waits to be sent',
    'repair in back-off after 3 tries (no room), again in 4 s',
    'rekey wanted (lost), asked 1 times, again now',
    'its lifetime ended in the dataplane; charon has yet to delete it',
  ]);
  assert.deepEqual(sas[0]?.next, [
    `the next comparison, in 12 s: delete-sa ${key}`,
    'charon is asked to rekey its CHILD_SA in 30 s',
    'in back-off; again in 4 s',
  ]);
});

test('names SPIs that look like one that nobody has, and shows no key of any', () => {
  const { sas, nearMisses } = explain({ knownSpis: [toSpi(0x1002), toSpi(0xdeadbeef)] });
  assert.deepEqual([sas, nearMisses], [[], ['00001002']]);
  const text = JSON.stringify(explain({ stories: [story()] }));
  assert.doesNotMatch(text, /key"|secret/);
});
