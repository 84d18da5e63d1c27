import fc from 'fast-check';
import type {
  AgentMessage,
  FeedLifetime,
  FeedPolicy,
  FeedSa,
  FeedSaId,
  FeedTrafficSelector,
  Host,
  PluginMessage,
} from '../../src/keyfeed/index.ts';
import { SecretBytes } from '../../src/util/index.ts';

const noLimit: FeedLifetime = { seconds: undefined, bytes: undefined, packets: undefined };

export function sampleSelector(address: string): FeedTrafficSelector {
  return { firstAddress: address, lastAddress: address, protocol: 0, ports: { first: 0, last: 0xffff } };
}

export function sampleSa(changes: Partial<FeedSa> = {}): FeedSa {
  return {
    id: {
      protocol: 'esp',
      spi: 0xc0a80001,
      source: { address: '198.18.0.1', port: 4500 },
      destination: { address: '198.18.0.2', port: 4500 },
      direction: 'outbound',
      mark: undefined,
      ifId: undefined,
    },
    reqid: 1,
    mode: 'tunnel',
    encr: 20,
    encrKey: new SecretBytes(Uint8Array.from({ length: 20 }, (_, index) => 0xe0 + (index % 16))),
    integ: 0,
    integKey: undefined,
    softLifetime: { ...noLimit, seconds: 3_000n },
    hardLifetime: { ...noLimit, seconds: 3_600n },
    replayWindow: 32,
    esn: false,
    encap: true,
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out-only',
    tfc: 0,
    initiator: true,
    sourceSelectors: [sampleSelector('198.19.1.0')],
    destinationSelectors: [sampleSelector('198.19.2.0')],
    ipcomp: undefined,
    hwOffload: undefined,
    interface: undefined,
    label: undefined,
    setMark: undefined,
    cpu: undefined,
    ageMs: undefined,
    ...changes,
  };
}

export function samplePolicy(changes: Partial<FeedPolicy> = {}): FeedPolicy {
  return {
    direction: 'outbound',
    source: sampleSelector('198.19.1.0'),
    destination: sampleSelector('198.19.2.0'),
    mark: undefined,
    ifId: undefined,
    interface: undefined,
    label: undefined,
    type: 'ipsec',
    priorityClass: 'default',
    manualPriority: 0,
    outerSource: { address: '198.18.0.1', port: 0 },
    outerDestination: { address: '198.18.0.2', port: 0 },
    reqid: 1,
    mode: 'tunnel',
    espSpi: 0xc0a80001,
    ahSpi: 0,
    ipcomp: undefined,
    ...changes,
  };
}

type Model<T> = { readonly [Key in keyof T]: fc.Arbitrary<T[Key]> };

/** Plain objects, as the decoder makes them. */
function record<T>(model: Model<T>): fc.Arbitrary<T> {
  return fc.record<T>({ ...model }, { noNullPrototype: true });
}

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt(0n, (1n << 64n) - 1n);
const address = fc.oneof(
  fc.ipV4(),
  // What the codec makes of any 16 bytes is its own canonical text: take only such.
  fc.constantFrom(
    '2001:db8::1',
    '::',
    '2001:db8:0:1::ff',
    'fe80::1',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ),
);
const host: fc.Arbitrary<Host> = record({ address, port: u16 });
const selector: fc.Arbitrary<FeedTrafficSelector> = fc
  .record({ firstAddress: address, protocol: fc.nat(255), ports: record({ first: u16, last: u16 }) })
  .map((parts) => ({ ...parts, lastAddress: parts.firstAddress }));
const mark = record({ value: u32, mask: u32 });
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });
const limit = optional(u64.filter((value) => value > 0n));
const lifetime: fc.Arbitrary<FeedLifetime> = record({ seconds: limit, bytes: limit, packets: limit });
const key = fc.uint8Array({ maxLength: 64 }).map((bytes) => new SecretBytes(bytes));
const protocol = fc.constantFrom('esp', 'ah');
const saDirection = fc.constantFrom('inbound', 'outbound');
const policyDirection = fc.constantFrom('inbound', 'outbound', 'forward');
const mode = fc.constantFrom('transport', 'tunnel', 'beet');
const code = fc.constantFrom(
  'ok',
  'refused',
  'try-again',
  'malformed',
  'unsupported',
  'busy',
  'internal',
  'overflow',
);
const words = fc.string({ unit: 'binary', maxLength: 40 });
const label = fc.uint8Array({ maxLength: 16 });

const saId: fc.Arbitrary<FeedSaId> = record({
  protocol,
  spi: u32,
  source: host,
  destination: host,
  direction: saDirection,
  mark: optional(mark),
  ifId: optional(u32),
});

const sa: fc.Arbitrary<FeedSa> = record({
  id: saId,
  reqid: u32,
  mode,
  encr: u16,
  encrKey: optional(key),
  integ: u16,
  integKey: optional(key),
  softLifetime: lifetime,
  hardLifetime: lifetime,
  replayWindow: u32,
  esn: fc.boolean(),
  encap: fc.boolean(),
  copyDf: fc.boolean(),
  copyEcn: fc.boolean(),
  copyDscp: fc.constantFrom('out-only', 'in-only', 'yes', 'no'),
  tfc: u32,
  initiator: fc.boolean(),
  sourceSelectors: fc.array(selector, { maxLength: 3 }),
  destinationSelectors: fc.array(selector, { maxLength: 3 }),
  ipcomp: optional(u16),
  hwOffload: optional(fc.constantFrom('no', 'yes', 'auto')),
  interface: optional(words),
  label: optional(label),
  setMark: optional(mark),
  cpu: optional(u32),
  ageMs: optional(u64),
});

const policy: fc.Arbitrary<FeedPolicy> = record({
  direction: policyDirection,
  source: selector,
  destination: selector,
  mark: optional(mark),
  ifId: optional(u32),
  interface: optional(words),
  label: optional(label),
  type: fc.constantFrom('ipsec', 'pass', 'drop'),
  priorityClass: fc.constantFrom('pass', 'default', 'routed', 'fallback'),
  manualPriority: u32,
  outerSource: host,
  outerDestination: host,
  reqid: u32,
  mode,
  espSpi: u32,
  ahSpi: u32,
  ipcomp: optional(u16),
});

const kind = <const Kind extends string>(name: Kind): fc.Arbitrary<Kind> => fc.constant(name);

/** Any message of the plugin. */
export const pluginMessages: fc.Arbitrary<PluginMessage> = fc.oneof(
  record({
    kind: kind('hello'),
    version: fc.constant(1),
    instance: fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((bytes) => Buffer.from(bytes).toString('hex')),
    server: words,
    deadlineMs: u32,
    ageMs: optional(u64),
  }),
  record({ kind: kind('snapshot-begin'), seq: u64 }),
  record({ kind: kind('snapshot-end'), seq: u64, count: u32 }),
  record({ kind: kind('error'), code, reason: words }),
  record({ kind: kind('get-spi'), seq: u64, protocol, source: host, destination: host }),
  record({ kind: kind('add-sa'), seq: u64, awaited: fc.boolean(), sa }),
  record({
    kind: kind('update-sa'),
    seq: u64,
    id: saId,
    newSource: host,
    newDestination: host,
    encap: fc.boolean(),
    newEncap: fc.boolean(),
    newReqid: optional(u32),
  }),
  record({ kind: kind('del-sa'), seq: u64, id: saId }),
  record({ kind: kind('add-policy'), seq: u64, awaited: fc.boolean(), policy }),
  record({ kind: kind('del-policy'), seq: u64, policy }),
  record({ kind: kind('flush-sas'), seq: u64 }),
  record({ kind: kind('flush-policies'), seq: u64 }),
  record({ kind: kind('probe'), seq: u64 }),
  record({ kind: kind('setup-failed'), ike: words, child: words, code, reason: words }),
);

/** Any message of the agent. */
export const agentMessages: fc.Arbitrary<AgentMessage> = fc.oneof(
  record({
    kind: kind('agent-hello'),
    version: u16,
    server: words,
    wantsFailures: optional(fc.constant(true)),
  }),
  record({ kind: kind('ready'), routeInterface: optional(words), ackLatencyUs: u32 }),
  record({ kind: kind('not-ready'), reason: words }),
  record({ kind: kind('result'), seq: u64, code, reason: optional(words), spi: optional(u32) }),
  record({ kind: kind('expire'), protocol, spi: u32, destination: host, hard: fc.boolean() }),
  record({ kind: kind('acquire'), reqid: u32, source: selector, destination: selector }),
  record({ kind: kind('mapping'), protocol, spi: u32, destination: host, newSource: host }),
  record({
    kind: kind('usage'),
    entries: fc.array(
      record({
        protocol,
        direction: saDirection,
        spi: u32,
        destination: address,
        bytes: u64,
        packets: u64,
        idleMs: optional(u64.filter((value) => value < (1n << 64n) - 1n)),
      }),
      { maxLength: 4 },
    ),
  }),
  record({
    kind: kind('policy-usage'),
    entries: fc.array(
      record({
        direction: policyDirection,
        source: selector,
        destination: selector,
        mark: optional(mark.filter(({ value, mask: bits }) => value !== 0 || bits !== 0)),
        ifId: optional(u32.filter((value) => value !== 0)),
        idleMs: optional(u64.filter((value) => value < (1n << 64n) - 1n)),
      }),
      { maxLength: 4 },
    ),
  }),
);

/** The message with its keys as hex, because SecretBytes hide from comparisons. */
export function withVisibleKeys(message: PluginMessage): unknown {
  if (message.kind !== 'add-sa') return message;
  const show = (key: SecretBytes | undefined): string | undefined =>
    key?.reveal((bytes) => Buffer.from(bytes).toString('hex'));
  const { encrKey, integKey, ...rest } = message.sa;
  return { ...message, sa: { ...rest, encrKey: show(encrKey), integKey: show(integKey) } };
}
