import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeOperation, wipeKeys } from '../../src/lagopus/encode-operation.ts';
import {
  type ListingReaderOptions,
  readPolicyChunk,
  readSaChunk,
  readUsageChunk,
} from '../../src/lagopus/read-listing.ts';
import { Texts } from '../../src/lagopus/wire-reader.ts';
import {
  Feature,
  ListPoliciesResponse,
  ListSasResponse,
  Operation,
  PolicyState,
  SaState,
} from '../../src/proto/index.ts';
import {
  type ActualPolicy,
  type ActualSa,
  type PolicyId,
  policyDifferences,
  policyKey,
  type SecurityAssociation,
  type SecurityPolicy,
  saDifferences,
  saKey,
  type TrafficSelector,
  toReqId,
  toSpi,
} from '../../src/sad/index.ts';
import { AgentError, formatAddress, SecretBytes } from '../../src/util/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const address = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(formatAddress);
const port = fc.integer({ min: 0, max: 0xffff });
const selector: fc.Arbitrary<TrafficSelector> = fc.record({
  firstAddress: address,
  lastAddress: address,
  protocol: fc.integer({ min: 0, max: 255 }),
  ports: fc.record({ first: port, last: port }),
});
const mark = fc.option(fc.record({ value: u32, mask: u32 }), { nil: undefined });
const optionalId = fc.option(fc.integer({ min: 1, max: 0xffff_ffff }), { nil: undefined });
const label = fc.option(fc.uint8Array({ minLength: 1, maxLength: 8 }), { nil: undefined });
const spi = fc.integer({ min: 256, max: 0xffff_ffff }).map(toSpi);
const name = fc.constantFrom(undefined, 'eth0');
const vrf = fc.constantFrom(undefined, 'blue');

const arbitrarySa: fc.Arbitrary<SecurityAssociation> = fc.record({
  id: fc.record({
    direction: fc.constantFrom('inbound', 'outbound'),
    protocol: fc.constantFrom('esp', 'ah'),
    spi,
    destination: address,
    mark,
    ifId: optionalId,
  }),
  source: address,
  mode: fc.constantFrom('transport', 'tunnel', 'beet'),
  reqid: u32.map(toReqId),
  encryption: fc.constantFrom(undefined, { id: 20, key: new SecretBytes(new Uint8Array(20).fill(1)) }),
  integrity: fc.constantFrom(undefined, { id: 12, key: new SecretBytes(new Uint8Array(32).fill(2)) }),
  udpEncapsulation: fc.option(fc.record({ sourcePort: port, destinationPort: port }), { nil: undefined }),
  replayWindow: u32,
  esn: fc.boolean(),
  sourceSelectors: fc.array(selector, { maxLength: 3 }),
  destinationSelectors: fc.array(selector, { maxLength: 3 }),
  softLifetime: fc.constant({}),
  hardLifetime: fc.constant({}),
  copyDf: fc.boolean(),
  copyEcn: fc.boolean(),
  copyDscp: fc.constantFrom('out-only', 'in-only', 'yes', 'no'),
  tfc: u32,
  ipcomp: fc.integer({ min: 0, max: 4 }),
  setMark: mark,
  innerVrf: vrf,
  interface: name,
  label,
  cpu: fc.option(fc.integer({ min: 0, max: 64 }), { nil: undefined }),
  hwOffload: fc.boolean(),
});

const policyId: fc.Arbitrary<PolicyId> = fc.record({
  direction: fc.constantFrom('inbound', 'outbound'),
  source: selector,
  destination: selector,
  mark,
  ifId: optionalId,
  interface: name,
  label,
  innerVrf: vrf,
});

const arbitraryPolicy: fc.Arbitrary<SecurityPolicy> = fc.record({
  id: policyId,
  priority: u32,
  action: fc.oneof(
    fc.constantFrom({ kind: 'bypass' } as const, { kind: 'discard' } as const),
    fc.record({
      kind: fc.constant('protect' as const),
      template: fc.record({
        protocol: fc.constantFrom('esp' as const, 'ah' as const),
        mode: fc.constantFrom('transport' as const, 'tunnel' as const),
        source: address,
        destination: address,
        spi: fc.option(spi, { nil: undefined }),
        reqid: u32.map(toReqId),
      }),
    }),
  ),
});

/** Through the wire. */
function onWire(operation: Parameters<typeof encodeOperation>[0]): Operation {
  return Operation.decode(Operation.encode(encodeOperation(operation)).finish());
}

const OWNER = 'charon';

function reader(): ListingReaderOptions {
  return { ownerId: Buffer.from(OWNER), texts: new Texts() };
}

function saChunk(...sas: readonly SaState[]): Buffer {
  return Buffer.from(ListSasResponse.encode(ListSasResponse.create({ sas: [...sas] })).finish());
}

function readSas(...sas: readonly SaState[]): readonly ActualSa[] {
  return readSaChunk(saChunk(...sas), reader()).entries;
}

function readPolicies(...policies: readonly PolicyState[]): readonly ActualPolicy[] {
  const message = ListPoliciesResponse.encode(
    ListPoliciesResponse.create({ policies: [...policies] }),
  ).finish();
  return readPolicyChunk(Buffer.from(message), reader()).entries;
}

test('an SA comes back from a listing as it was sent', () => {
  fc.assert(
    fc.property(arbitrarySa, (sa) => {
      const message = onWire({ kind: 'add-sa', sa }).addSa?.sa;
      const state = SaState.create({ sa: message, ownerId: OWNER, keyFingerprint: Buffer.from('aa', 'hex') });
      const [listed] = readSas(state);
      assert.ok(listed !== undefined);
      assert.equal(saKey(listed.sa.id), saKey(sa.id));
      assert.deepEqual(
        saDifferences(sa, listed, () => 'aa'),
        [],
      );
    }),
  );
});

test('a policy comes back from a listing as it was sent', () => {
  fc.assert(
    fc.property(arbitraryPolicy, (policy) => {
      const message = onWire({ kind: 'put-policy', policy }).putPolicy?.policy;
      const [listed] = readPolicies(PolicyState.create({ policy: message, ownerId: OWNER }));
      assert.ok(listed !== undefined);
      assert.equal(policyKey(listed.policy.id), policyKey(policy.id));
      assert.deepEqual(policyDifferences(policy, listed.policy), []);
    }),
  );
});

test('keys, lifetimes and replay state are sent as they are', () => {
  const sa = sampleSa({
    direction: 'inbound',
    spi: 0x1001,
    keyByte: 7,
    change: {
      softLifetime: { bytes: 5n },
      hardLifetime: { seconds: 60n, packets: 9n },
      integrity: { id: 12, key: new SecretBytes(new Uint8Array(32).fill(8)) },
    },
  });
  const replayState = { highestSequence: 2n ** 33n, bitmap: Uint8Array.of(1, 2) };
  const message = onWire({ kind: 'add-sa', sa, replayState }).addSa?.sa;
  assert.deepEqual(message?.encryptionKey, Buffer.alloc(20, 7));
  assert.deepEqual(message?.integrityKey, Buffer.alloc(32, 8));
  assert.deepEqual(message?.softLifetime, { seconds: 0n, bytes: 5n, packets: 0n });
  assert.deepEqual(message?.hardLifetime, { seconds: 60n, bytes: 0n, packets: 9n });
  assert.deepEqual(message?.replayState, { highestSequence: 2n ** 33n, bitmap: Buffer.from([1, 2]) });
});

test('the copies of keys in a message can be wiped without touching the keys', () => {
  const sa = sampleSa({ direction: 'inbound', spi: 0x1001, keyByte: 7 });
  const message = encodeOperation({ kind: 'add-sa', sa });
  wipeKeys([message]);
  assert.deepEqual(message.addSa?.sa?.encryptionKey, Buffer.alloc(20));
  sa.encryption?.key.reveal((bytes) => assert.equal(bytes[0], 7));
});

test('requires of the dataplane what the SA uses, and nothing else', () => {
  const featuresOf = (change: Partial<SecurityAssociation>): Feature[] | undefined => {
    const plain = { copyDf: false, copyEcn: false, copyDscp: 'no', hardLifetime: {} } as const;
    const sa = sampleSa({ direction: 'inbound', spi: 0x1001, change: { ...plain, ...change } });
    return encodeOperation({ kind: 'add-sa', sa }).addSa?.sa?.requiredFeatures;
  };
  assert.deepEqual(featuresOf({}), []);
  assert.deepEqual(featuresOf({ esn: true }), [Feature.FEATURE_ESN]);
  assert.deepEqual(featuresOf({ udpEncapsulation: { sourcePort: 4500, destinationPort: 4500 } }), [
    Feature.FEATURE_UDP_ENCAPSULATION,
  ]);
  assert.deepEqual(featuresOf({ source: '2001:db8::1' }), [Feature.FEATURE_IPV6_OUTER]);
  assert.deepEqual(featuresOf({ cpu: 0 }), [Feature.FEATURE_CPU]);
  assert.deepEqual(featuresOf({ innerVrf: 'blue' }), [Feature.FEATURE_VRF]);
  assert.deepEqual(featuresOf({ setMark: { value: 1, mask: 1 } }), [Feature.FEATURE_SET_MARK]);
  const id = { ...sampleSa({ direction: 'inbound', spi: 0x1001 }).id, ifId: 5, mark: { value: 0, mask: 1 } };
  assert.deepEqual(featuresOf({ id }), [Feature.FEATURE_MARK, Feature.FEATURE_IF_ID]);
  assert.deepEqual(featuresOf({ copyDf: true, copyEcn: true, copyDscp: 'out-only' }), [
    Feature.FEATURE_COPY_DF,
    Feature.FEATURE_COPY_ECN,
    Feature.FEATURE_COPY_DSCP,
  ]);
  assert.deepEqual(featuresOf({ softLifetime: { bytes: 1n }, hardLifetime: { seconds: 1n } }), [
    Feature.FEATURE_LIFETIME_TIME,
    Feature.FEATURE_LIFETIME_BYTES,
  ]);
});

test('requires of the dataplane what the policy uses', () => {
  const featuresOf = (user: ReturnType<typeof sampleUser>): Feature[] | undefined =>
    encodeOperation({ kind: 'put-policy', policy: { ...user, priority: 1 } }).putPolicy?.policy
      ?.requiredFeatures;
  assert.deepEqual(featuresOf(sampleUser({ direction: 'outbound', spi: 0x1001 })), []);
  assert.deepEqual(featuresOf(sampleUser({ direction: 'outbound' })), [Feature.FEATURE_ACQUIRE]);
  const inVrf = sampleUser({ direction: 'outbound', spi: 0x1001 });
  assert.deepEqual(featuresOf({ ...inVrf, id: { ...inVrf.id, innerVrf: 'blue', ifId: 5 } }), [
    Feature.FEATURE_IF_ID,
    Feature.FEATURE_VRF,
  ]);
  assert.deepEqual(featuresOf(sampleUser({ direction: 'outbound', action: { kind: 'bypass' } })), [
    Feature.FEATURE_BYPASS,
  ]);
});

test('refuses a listing that breaks the contract', () => {
  const sa = onWire({ kind: 'add-sa', sa: sampleSa({ direction: 'inbound', spi: 0x1001 }) }).addSa?.sa;
  assert.ok(sa?.id !== undefined);
  const { id } = sa;
  for (const broken of [
    undefined,
    { ...sa, id: undefined },
    { ...sa, id: { ...id, spi: 255 } },
    { ...sa, id: { ...id, direction: 0 } },
    { ...sa, id: { ...id, destination: { value: Buffer.alloc(5) } } },
    { ...sa, mode: 0 },
  ] as const) {
    assert.throws(() => readSas(SaState.create({ sa: broken, ownerId: OWNER })), { code: 'malformed' });
  }
});

test('reads the state of an SA, of a listing of counters too, and leaves out what others own', () => {
  const sa = onWire({ kind: 'add-sa', sa: sampleSa({ direction: 'inbound', spi: 0x1001 }) }).addSa?.sa;
  const state = SaState.create({
    sa,
    ownerId: OWNER,
    charonInstanceId: Buffer.alloc(16, 0xab),
    keyFingerprint: Buffer.alloc(32, 0xcd),
    ageMs: 0x1_0000_0005n,
    counters: {
      ...{ bytes: 0xffff_ffff_ffffn, packets: 2n, idleMs: 0n, replayDrops: 4n },
      ...{ integrityFailures: 5n, selectorDrops: 6n, malformedDrops: 7n },
    },
    nextSequence: 8n,
    replayState: { highestSequence: 9n, bitmap: Buffer.of(1, 2) },
  });
  const other = SaState.create({ ...state, ownerId: 'charon2' });
  const [listed, ...more] = readSas(other, state);
  assert.deepEqual(more, []);
  const { counters, replayState } = state;
  assert.ok(listed !== undefined && counters !== undefined && replayState !== undefined);
  const usage = {
    id: listed.sa.id,
    counters: { ...counters },
    nextSequence: 8n,
    replayState: { highestSequence: 9n, bitmap: Uint8Array.of(1, 2) },
  };
  assert.deepEqual(listed.usage, usage);
  assert.equal(listed.charonInstanceId, 'ab'.repeat(16));
  assert.equal(listed.keyFingerprint, 'cd'.repeat(32));
  assert.equal(listed.ageMs, 0x1_0000_0005n);
  const countersOnly = SaState.create({ ...state, sa: { id: sa?.id } });
  assert.deepEqual(readUsageChunk(saChunk(countersOnly), reader()).entries, [usage]);
});

test('a listing cut anywhere, or of other bytes, is malformed or read, and nothing else', () => {
  const sa = onWire({ kind: 'add-sa', sa: sampleSa({ direction: 'inbound', spi: 0x1001 }) }).addSa?.sa;
  const whole = saChunk(SaState.create({ sa, ownerId: OWNER }));
  const read = (bytes: Buffer): void => {
    try {
      readSaChunk(bytes, reader());
    } catch (error) {
      assert.ok(error instanceof AgentError && error.code === 'malformed', String(error));
    }
  };
  for (let length = 1; length < whole.length; length += 1) {
    const cut = whole.subarray(0, length);
    assert.throws(() => readSaChunk(cut, reader()), { code: 'malformed' }, `${length} bytes`);
  }
  fc.assert(
    fc.property(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
      const changed = Buffer.from(whole);
      changed[at] = byte;
      read(changed);
    }),
  );
});
