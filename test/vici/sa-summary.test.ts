import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseListedIkeSa } from '../../src/vici/ike-sa.ts';
import {
  decodeMessage,
  decodePacket,
  encodeMessage,
  type IkeSaSummary,
  MalformedError,
  SaSummaryReader,
  SegmentSplitter,
  summarizeIkeSa,
  type ViciArguments,
} from '../../src/vici/index.ts';
import { tries } from '../support/tries.ts';
import { recordedListSas, sampleChild, sampleIke } from './samples.ts';

function generic(message: Uint8Array): IkeSaSummary {
  return summarizeIkeSa(parseListedIkeSa(decodeMessage(message)));
}

function listed(...children: readonly ViciArguments[]): Uint8Array {
  const sections = children.map((child, index) => [`net-${index}`, child] as const);
  return encodeMessage({ gw: sampleIke({ 'child-sas': Object.fromEntries(sections) }) });
}

const CASES: Readonly<Record<string, Uint8Array>> = {
  usual: listed(sampleChild()),
  'without CHILD_SAs': listed(),
  'without a section of them': encodeMessage({ gw: sampleIke() }),
  'two CHILD_SAs': listed(sampleChild(), sampleChild({ uniqueid: 8, encap: undefined, state: 'REKEYED' })),
  'two of one unique id': listed(sampleChild(), sampleChild({ state: 'DELETED' })),
  'not installed': listed(sampleChild({ state: 'INSTALLING', protocol: undefined })),
  'in a state of the future': listed(sampleChild({ state: 'HIBERNATING' })),
  'of a name beyond ASCII': listed(sampleChild({ name: 'réseau' })),
  'without a name': listed(sampleChild({ name: '' })),
  'SPIs in capitals': listed(sampleChild({ 'spi-in': 'C0A80001' })),
  'SPIs at their limits': listed(sampleChild({ 'spi-in': 'ffffffff', 'spi-out': '00000000' })),
  'encap by another word': listed(sampleChild({ encap: 'no' })),
  AH: listed(sampleChild({ protocol: 'AH', 'encr-alg': undefined })),
  'names that begin alike': listed(sampleChild({ nest: 'x', stall: 'x', 'spi-up': '1', universe: '1' })),
  'a name twice, values and lists': Buffer.concat([
    encodeMessage({ gw: {} }).subarray(0, -1),
    encodeMessage({ ...sampleIke(), 'local-vips': ['198.19.0.1'] }),
    encodeMessage({ uniqueid: '99' }),
    Buffer.of(2),
  ]),
};

for (const [name, message] of Object.entries(CASES)) {
  test(`reads what the whole parser reads: ${name}`, () => {
    assert.deepEqual(new SaSummaryReader().read(message), generic(message));
  });
}

test('reads what the whole parser reads of 1,000 SAs that a real charon listed', () => {
  const reader = new SaSummaryReader();
  let count = 0;
  for (const { bytes } of new SegmentSplitter().push(recordedListSas())) {
    const packet = decodePacket(bytes);
    if (packet.kind !== 'event') continue;
    assert.deepEqual(reader.read(packet.message), generic(packet.message));
    count += 1;
  }
  assert.equal(count, 1_000);
});

test('refuses every truncation as the whole parser does, with the offset', () => {
  const message = listed(sampleChild());
  const reader = new SaSummaryReader();
  for (let length = 1; length < message.length; length += 1) {
    const cut = message.subarray(0, length);
    let expected: unknown;
    try {
      decodeMessage(cut, 1_000);
    } catch (error) {
      expected = error;
    }
    assert.ok(expected instanceof MalformedError);
    assert.throws(() => reader.read(cut, 1_000), { message: expected.message, offset: expected.offset });
  }
});

test('never accepts what the whole decoder refuses, and agrees with the whole parser on the rest', () => {
  const usual = listed(sampleChild(), sampleChild({ uniqueid: 8 }));
  const changes = fc.array(fc.tuple(fc.nat(usual.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
  const reader = new SaSummaryReader();
  fc.assert(
    fc.property(changes, (edits) => {
      const message = Uint8Array.from(usual);
      for (const [at, byte] of edits) message[at] = byte;
      const whole = attempt(() => generic(message));
      const fast = attempt(() => reader.read(message));
      if (whole.kind === 'done') assert.deepEqual(fast, whole);
      // It may accept what is wrong with a field that nobody wants, but not a broken message.
      else if (whole.error instanceof MalformedError) assert.deepEqual(fast, whole);
    }),
    tries(3_000),
  );
});

type Attempt = { kind: 'done'; value: IkeSaSummary } | { kind: 'failed'; error: unknown };

function attempt(read: () => IkeSaSummary): Attempt {
  try {
    return { kind: 'done', value: read() };
  } catch (error) {
    return { kind: 'failed', error };
  }
}
