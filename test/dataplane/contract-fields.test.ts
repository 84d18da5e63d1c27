import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Algorithms } from '../../src/dataplane/algorithms.ts';
import { parseAct, parsePolicyName } from '../../src/dataplane/policy-request.ts';
import { nativeSaOf } from '../../src/dataplane/sa-record.ts';
import { parseSaRequest } from '../../src/dataplane/sa-request.ts';
import { noScope, Scopes } from '../../src/dataplane/scopes.ts';
import { Spd } from '../../src/dataplane/spd.ts';
import {
  Direction,
  DscpCopy,
  Feature,
  Lifetime,
  Mode,
  Policy,
  PolicyAction,
  PolicyId,
  Protocol,
  ReplayState,
  Sa,
  SaId,
  SaTemplate,
  TrafficSelector,
  UdpEncapsulation,
} from '../../src/proto/index.ts';
import { engineLab } from '../native/engine-lab.ts';
import { address, samplePolicy, sampleSa, selector } from './samples.ts';

/** What becomes of a field: setting it changes what is done, or is refused, or it is only given back. */
type Field<Message> =
  | { readonly acts: (message: Message) => Message }
  | { readonly refused: (message: Message) => Message; readonly why: RegExp }
  | { readonly told: string };

type Fields<Part, Whole> = Readonly<Record<keyof Part, Field<Whole>>>;

const { engine } = engineLab();
const mark = { value: 1, mask: 0xff };
const scopes = new Scopes([
  { name: 'ipsec0', scope: noScope },
  { name: 'one', scope: { ...noScope, ifId: 1 } },
  { name: 'two', scope: { ...noScope, mark } },
  { name: 'three', scope: { ...noScope, vrf: 'blue' } },
]);
const context = { algorithms: new Algorithms(engine), scopes, hasIpv6: true, fwmark: 66, encapPort: 4500 };

const outbound = sampleSa({
  direction: Direction.DIRECTION_OUTBOUND,
  spi: 0xc0000001,
  source: '198.18.0.1',
  destination: '198.18.0.2',
  udp: { sourcePort: 4500, destinationPort: 4500 },
  overrides: {
    softLifetime: { seconds: 1n, bytes: 1n, packets: 1n },
    hardLifetime: { seconds: 1n, bytes: 1n, packets: 1n },
  },
});
const inbound: Sa = {
  ...outbound,
  id: outbound.id && { ...outbound.id, direction: Direction.DIRECTION_INBOUND },
  replayState: { highestSequence: 5n, bitmap: Buffer.of(1) },
};

/** Everything an SA brings about but its listing. */
function saEffect(sa: Sa): unknown {
  const request = parseSaRequest(sa, context);
  const seconds = [request.softLifetime.seconds, request.hardLifetime.seconds];
  return { native: nativeSaOf(request, 0), name: request.name, seconds };
}

const set = (change: Partial<Sa>) => ({ acts: (sa: Sa): Sa => ({ ...sa, ...change }) });
const refuse = (change: Partial<Sa>, why: RegExp) => ({
  refused: (sa: Sa): Sa => ({ ...sa, ...change }),
  why,
});
const within = { acts: (sa: Sa): Sa => sa };

const saFields: Fields<Sa, Sa> = {
  // Parts have tables of their own.
  id: within,
  softLifetime: within,
  hardLifetime: within,
  replayState: within,
  udpEncapsulation: within,
  source: set({ source: address('198.18.0.9') }),
  mode: set({ mode: Mode.MODE_TRANSPORT }),
  reqid: { told: 'ties an inbound SA to its policies (sa-groups.ts), and is in events' },
  encryption: set({ encryption: 19, encryptionKey: outbound.encryptionKey }),
  encryptionKey: set({ encryptionKey: Buffer.alloc(20, 9) }),
  integrity: set({
    encryption: 12,
    encryptionKey: Buffer.alloc(16),
    integrity: 12,
    integrityKey: Buffer.alloc(32),
  }),
  integrityKey: set({
    encryption: 12,
    encryptionKey: Buffer.alloc(16),
    integrity: 2,
    integrityKey: Buffer.alloc(20, 3),
  }),
  replayWindow: set({ replayWindow: 128 }),
  esn: set({ esn: true }),
  sourceSelectors: set({ sourceSelectors: [selector('198.19.7.0/24')] }),
  destinationSelectors: set({ destinationSelectors: [selector('198.19.7.0/24')] }),
  initialSequence: set({ initialSequence: 77n }),
  setMark: set({ setMark: mark }),
  ifIdOut: refuse({ ifIdOut: 3 }, /FEATURE_IF_ID/),
  interface: refuse({ interface: 'eth0' }, /FEATURE_INTERFACE/),
  label: refuse({ label: Buffer.of(1) }, /FEATURE_LABEL/),
  innerVrf: set({ innerVrf: 'blue' }),
  copyDf: set({ copyDf: false }),
  copyEcn: set({ copyEcn: false }),
  copyDscp: set({ copyDscp: DscpCopy.DSCP_COPY_NO }),
  tfc: set({ tfc: 500 }),
  cpu: refuse({ cpu: 1 }, /FEATURE_CPU/),
  ipcomp: refuse({ ipcomp: 1 }, /FEATURE_IPCOMP/),
  hwOffload: refuse({ hwOffload: true }, /FEATURE_HW_OFFLOAD/),
  requiredFeatures: refuse({ requiredFeatures: [Feature.FEATURE_LABEL] }, /FEATURE_LABEL/),
};

const id = (change: Partial<SaId>) => ({
  acts: (sa: Sa): Sa => ({ ...sa, id: sa.id && { ...sa.id, ...change } }),
});

const saIdFields: Fields<SaId, Sa> = {
  direction: { acts: () => ({ ...inbound, replayState: undefined }) },
  protocol: {
    acts: (sa) => ({
      ...sa,
      id: sa.id && { ...sa.id, protocol: Protocol.PROTOCOL_AH },
      udpEncapsulation: undefined,
      encryption: 0,
      encryptionKey: Buffer.alloc(0),
      integrity: 12,
      integrityKey: Buffer.alloc(32),
    }),
  },
  spi: id({ spi: 0xc0000009 }),
  destination: id({ destination: address('198.18.0.9') }),
  mark: id({ mark }),
  ifId: id({ ifId: 1 }),
  outerVrf: {
    refused: (sa) => ({ ...sa, id: sa.id && { ...sa.id, outerVrf: 'red' } }),
    why: /FEATURE_VRF/,
  },
};

function lifetimeFields(which: 'softLifetime' | 'hardLifetime'): Fields<Lifetime, Sa> {
  const longer = (change: Partial<Lifetime>) => ({
    acts: (sa: Sa): Sa => ({ ...sa, [which]: { ...Lifetime.create(), ...sa[which], ...change } }),
  });
  return { seconds: longer({ seconds: 9n }), bytes: longer({ bytes: 9n }), packets: longer({ packets: 9n }) };
}

const udpFields: Fields<UdpEncapsulation, Sa> = {
  sourcePort: set({ udpEncapsulation: { sourcePort: 9, destinationPort: 4500 } }),
  destinationPort: set({ udpEncapsulation: { sourcePort: 4500, destinationPort: 9 } }),
};

const replayFields: Fields<ReplayState, Sa> = {
  highestSequence: set({ replayState: { highestSequence: 6n, bitmap: Buffer.of(1) } }),
  bitmap: set({ replayState: { highestSequence: 5n, bitmap: Buffer.of(3) } }),
};

const protect = samplePolicy({ source: selector('198.19.1.0/24'), destination: selector('198.19.2.0/24') });
const spd = new Spd({
  engine,
  scopes,
  sad: { findInbound: () => undefined },
  maxPolicies: 100,
  now: () => 0,
});
const author = { owner: 'one', charonInstanceId: new Uint8Array(0) };

function policyEffect(policy: Policy): unknown {
  spd.put(policy, author);
  return { act: parseAct(policy), name: parsePolicyName(policy.id), priority: policy.priority };
}

const put = (change: Partial<Policy>) => ({ acts: (policy: Policy): Policy => ({ ...policy, ...change }) });

const policyFields: Fields<Policy, Policy> = {
  id: { acts: (policy) => policy },
  templates: { acts: (policy) => policy },
  action: put({ action: PolicyAction.POLICY_ACTION_DISCARD }),
  priority: put({ priority: 5 }),
  requiredFeatures: {
    refused: (policy) => ({ ...policy, requiredFeatures: [Feature.FEATURE_LABEL] }),
    why: /FEATURE_LABEL/,
  },
};

const withId =
  (change: Partial<PolicyId>) =>
  (policy: Policy): Policy => ({
    ...policy,
    id: policy.id && { ...policy.id, ...change },
  });

const policyIdFields: Fields<PolicyId, Policy> = {
  direction: { acts: withId({ direction: Direction.DIRECTION_INBOUND }) },
  source: { acts: withId({ source: selector('198.19.7.0/24') }) },
  destination: { acts: withId({ destination: selector('198.19.7.0/24') }) },
  mark: { acts: withId({ mark }) },
  ifId: { acts: withId({ ifId: 1 }) },
  interface: { refused: withId({ interface: 'eth0' }), why: /FEATURE_INTERFACE/ },
  label: { refused: withId({ label: Buffer.of(1) }), why: /FEATURE_LABEL/ },
  innerVrf: { acts: withId({ innerVrf: 'blue' }) },
};

const withTemplate = (change: Partial<SaTemplate>) => ({
  acts: (policy: Policy): Policy => ({
    ...policy,
    templates: policy.templates.map((template) => ({ ...template, ...change })),
  }),
});

const templateFields: Fields<SaTemplate, Policy> = {
  protocol: withTemplate({ protocol: Protocol.PROTOCOL_AH }),
  mode: withTemplate({ mode: Mode.MODE_TRANSPORT }),
  source: { told: 'the SA that SPI, protocol and destination name has a source of its own' },
  destination: withTemplate({ destination: address('198.18.0.9') }),
  spi: withTemplate({ spi: 0xc0000009 }),
  reqid: withTemplate({ reqid: 9 }),
};

const withSource = (change: Partial<TrafficSelector>) => ({
  acts: withId({ source: { ...selector('198.19.1.0/24'), ...change } }),
});

const selectorFields: Fields<TrafficSelector, Policy> = {
  addresses: withSource({ addresses: selector('198.19.7.0/24').addresses }),
  ports: withSource({ ports: { first: 5, last: 6 } }),
  protocol: withSource({ protocol: 17 }),
};

/** Checks every field of a message that the generated code knows, and that the table knows no other. */
function checkFields<Part extends object, Whole>(
  name: string,
  known: Part,
  fields: Readonly<Record<string, Field<Whole>>>,
  base: Whole,
  effect: (whole: Whole) => unknown,
): void {
  describe(name, () => {
    it('has no field that is neither acted on, nor refused, nor told', () => {
      assert.deepEqual(Object.keys(fields).sort(), Object.keys(known).sort());
    });
    for (const [field, what] of Object.entries(fields)) {
      if ('told' in what) continue;
      it(`${field} ${'acts' in what ? 'acts' : 'is refused'}`, () => {
        if ('refused' in what) {
          assert.throws(() => effect(what.refused(base)), what.why);
          return;
        }
        const changed = what.acts(base);
        if (changed !== base) assert.notDeepEqual(effect(changed), effect(base));
      });
    }
  });
}

describe('the fields of the contract', () => {
  checkFields('Sa', Sa.create(), saFields, outbound, saEffect);
  checkFields('SaId', SaId.create(), saIdFields, outbound, saEffect);
  checkFields('Lifetime (soft)', Lifetime.create(), lifetimeFields('softLifetime'), outbound, saEffect);
  checkFields('Lifetime (hard)', Lifetime.create(), lifetimeFields('hardLifetime'), outbound, saEffect);
  checkFields('UdpEncapsulation', UdpEncapsulation.create(), udpFields, outbound, saEffect);
  checkFields('ReplayState', ReplayState.create(), replayFields, inbound, saEffect);
  checkFields('Policy', Policy.create(), policyFields, protect, policyEffect);
  checkFields('PolicyId', PolicyId.create(), policyIdFields, protect, policyEffect);
  checkFields('SaTemplate', SaTemplate.create(), templateFields, protect, policyEffect);
  checkFields('TrafficSelector', TrafficSelector.create(), selectorFields, protect, policyEffect);
});
