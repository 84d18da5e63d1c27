import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ActualSa, diffObserved, type ObservedSa, toReqId } from '../../src/sad/index.ts';
import { type SaOptions, sampleSa } from '../support/sample-sas.ts';

const NO_COUNTERS = {
  ...{ bytes: 0n, packets: 0n, idleMs: undefined },
  ...{ replayDrops: 0n, integrityFailures: 0n, selectorDrops: 0n, malformedDrops: 0n },
} as const;

function actualOf(options: SaOptions): ActualSa {
  const { encryption, integrity, ...sa } = sampleSa(options);
  return {
    sa: { ...sa, encryption: encryption?.id, integrity: integrity?.id },
    usage: { id: sa.id, counters: NO_COUNTERS, nextSequence: 1n, replayState: undefined },
    keyFingerprint: undefined,
    charonInstanceId: '',
    ageMs: 0n,
  };
}

/** The same SA as somebody without its keys sees it. */
function observedOf(options: SaOptions, change: Partial<ObservedSa> = {}): ObservedSa {
  const { id, source, mode, reqid, esn, sourceSelectors, destinationSelectors } = sampleSa(options);
  return {
    ...{ id, source, mode, reqid, esn, sourceSelectors, destinationSelectors },
    encryption: 20,
    integrity: 'none',
    isUdpEncapsulated: false,
    isSettled: true,
    ...change,
  };
}

const IN = { direction: 'inbound', spi: 0x1001 } as const;
const OUT = { direction: 'outbound', spi: 0x1002 } as const;

test('finds no difference between an SA and what is told of it', () => {
  assert.deepEqual(diffObserved([observedOf(IN), observedOf(OUT)], [actualOf(OUT), actualOf(IN)]), {
    missing: [],
    unexpected: [],
    different: [],
  });
});

test('tells what is missing and what nobody observed', () => {
  const { missing, unexpected, different } = diffObserved([observedOf(IN)], [actualOf(OUT)]);
  assert.deepEqual(
    [missing.map(({ id }) => id.spi), unexpected.map(({ sa }) => sa.id.spi), different],
    [[0x1001], [0x1002], []],
  );
});

test('neither misses nor finds unexpected what is on its way in or out', () => {
  const passing = observedOf(IN, { isSettled: false });
  assert.deepEqual(diffObserved([passing], []).missing, []);
  assert.deepEqual(diffObserved([passing], [actualOf(IN)]).unexpected, []);
});

test('names every field that differs', () => {
  const changes: readonly (readonly [string, Partial<ObservedSa>])[] = [
    ['source', { source: '198.18.0.9' }],
    ['mode', { mode: 'transport' }],
    ['reqid', { reqid: toReqId(9) }],
    ['encryption', { encryption: 12 }],
    ['encryption', { encryption: 'none' }],
    ['integrity', { integrity: 12 }],
    ['udp-encapsulation', { isUdpEncapsulated: true }],
    ['esn', { esn: true }],
    ['source-selectors', { sourceSelectors: [] }],
    ['destination-selectors', { destinationSelectors: sampleSa(IN).sourceSelectors }],
  ];
  for (const [field, change] of changes) {
    const { different } = diffObserved([observedOf(IN, change)], [actualOf(IN)]);
    assert.deepEqual(
      different.map(({ fields }) => fields),
      [[field]],
    );
  }
});

test('compares nothing that is not told', () => {
  const [selector] = sampleSa(IN).sourceSelectors;
  assert.ok(selector !== undefined);
  const untold: Partial<ObservedSa> = {
    ...{ mode: undefined, encryption: undefined, integrity: undefined, destinationSelectors: undefined },
    sourceSelectors: [{ ...selector, protocol: undefined, ports: undefined }],
  };
  assert.deepEqual(diffObserved([observedOf(IN, untold)], [actualOf(IN)]).different, []);
});

test('takes an SA at other endpoints for the same one', () => {
  const { id } = sampleSa(IN);
  const moved = observedOf(IN, { id: { ...id, destination: '198.18.0.9' } });
  const { missing, unexpected, different } = diffObserved([moved], [actualOf(IN)]);
  assert.deepEqual([missing, unexpected, different.map(({ fields }) => fields)], [[], [], [['destination']]]);
});

test('keeps two SAs of one SPI apart by their peers', () => {
  const { id } = sampleSa(OUT);
  const other = observedOf(OUT, { id: { ...id, destination: '198.18.0.3' } });
  const { missing, different } = diffObserved([observedOf(OUT), other], [actualOf(OUT)]);
  assert.deepEqual([missing.map((sa) => sa.id.destination), different], [['198.18.0.3'], []]);
});
