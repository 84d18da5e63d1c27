import { randomBytes } from 'node:crypto';
import {
  Direction,
  DscpCopy,
  type IpAddress,
  Mode,
  type Operation,
  Policy,
  PolicyAction,
  Protocol,
  Sa,
  type SaId,
  type TrafficSelector,
  type UdpEncapsulation,
} from '../../src/proto/index.ts';

/** An ESP proposal, by its IANA numbers and key lengths in bytes. */
export type Suite = {
  readonly name: string;
  readonly encryption: number;
  readonly encryptionKeyBytes: number;
  readonly integrity: number;
  readonly integrityKeyBytes: number;
};

export const gcm128: Suite = {
  name: 'AES-GCM-128',
  encryption: 20,
  encryptionKeyBytes: 20,
  integrity: 0,
  integrityKeyBytes: 0,
};

/** Every proposal the dataplane takes. */
export const suites: readonly Suite[] = [
  gcm128,
  { ...gcm128, name: 'AES-GCM-256', encryptionKeyBytes: 36 },
  {
    name: 'AES-CBC-128 HMAC-SHA2-256-128',
    encryption: 12,
    encryptionKeyBytes: 16,
    integrity: 12,
    integrityKeyBytes: 32,
  },
  {
    name: 'AES-CBC-256 HMAC-SHA2-256-128',
    encryption: 12,
    encryptionKeyBytes: 32,
    integrity: 12,
    integrityKeyBytes: 32,
  },
  {
    name: 'AES-CBC-128 HMAC-SHA1-96',
    encryption: 12,
    encryptionKeyBytes: 16,
    integrity: 2,
    integrityKeyBytes: 20,
  },
  {
    name: 'AES-CBC-256 HMAC-SHA1-96',
    encryption: 12,
    encryptionKeyBytes: 32,
    integrity: 2,
    integrityKeyBytes: 20,
  },
];

export function address(text: string): IpAddress {
  return { value: Buffer.from(text.split('.').map(Number)) };
}

/** All ports of one address or of a whole network, `198.19.1.0/24`. */
export function selector(network: string, protocol = 0, ports = { first: 0, last: 65535 }): TrafficSelector {
  const [text = '', bits = '32'] = network.split('/');
  const first = address(text);
  const last = Buffer.from(first.value);
  const hosts = 2 ** (32 - Number(bits)) - 1;
  last.writeUInt32BE((last.readUInt32BE(0) | hosts) >>> 0);
  return { addresses: { first, last: { value: last } }, ports, protocol };
}

export function saId(direction: Direction, spi: number, destination: string): SaId {
  return {
    direction,
    protocol: Protocol.PROTOCOL_ESP,
    spi,
    destination: address(destination),
    mark: undefined,
    ifId: 0,
    outerVrf: '',
  };
}

export type SaOptions = {
  readonly direction: Direction;
  readonly spi: number;
  readonly source: string;
  readonly destination: string;
  readonly suite?: Suite;
  readonly encryptionKey?: Buffer;
  readonly integrityKey?: Buffer;
  readonly udp?: UdpEncapsulation | undefined;
  readonly sourceNet?: string;
  readonly destinationNet?: string;
  readonly overrides?: Partial<Sa>;
};

/** A tunnel-mode ESP SA with charon's defaults. Keys are copied: the server wipes what it decodes, tests reuse theirs. */
export function sampleSa(options: SaOptions): Sa {
  const { direction, spi, source, destination, suite = gcm128 } = options;
  return {
    ...Sa.create(),
    id: saId(direction, spi, destination),
    source: address(source),
    mode: Mode.MODE_TUNNEL,
    reqid: 1,
    encryption: suite.encryption,
    encryptionKey: Buffer.from(options.encryptionKey ?? randomBytes(suite.encryptionKeyBytes)),
    integrity: suite.integrity,
    integrityKey: Buffer.from(options.integrityKey ?? randomBytes(suite.integrityKeyBytes)),
    udpEncapsulation: options.udp,
    replayWindow: 32,
    sourceSelectors: [selector(options.sourceNet ?? '0.0.0.0/0')],
    destinationSelectors: [selector(options.destinationNet ?? '0.0.0.0/0')],
    copyDf: true,
    copyEcn: true,
    copyDscp: DscpCopy.DSCP_COPY_OUT_ONLY,
    ...options.overrides,
  };
}

export type PolicyOptions = {
  readonly direction?: Direction;
  readonly source: TrafficSelector;
  readonly destination: TrafficSelector;
  readonly action?: PolicyAction;
  readonly priority?: number;
  /** For PROTECT. */
  readonly spi?: number;
  readonly peer?: string;
  readonly overrides?: Partial<Policy>;
};

export function samplePolicy(options: PolicyOptions): Policy {
  const { direction = Direction.DIRECTION_OUTBOUND, action = PolicyAction.POLICY_ACTION_PROTECT } = options;
  const template = {
    protocol: Protocol.PROTOCOL_ESP,
    mode: Mode.MODE_TUNNEL,
    source: undefined,
    destination: address(options.peer ?? '198.18.0.2'),
    spi: options.spi ?? 0,
    reqid: 1,
  };
  return {
    ...Policy.create(),
    id: {
      direction,
      source: options.source,
      destination: options.destination,
      mark: undefined,
      ifId: 0,
      interface: '',
      label: Buffer.alloc(0),
      innerVrf: '',
    },
    action,
    priority: options.priority ?? 1000,
    templates: action === PolicyAction.POLICY_ACTION_PROTECT ? [template] : [],
    ...options.overrides,
  };
}

export const addSa = (sa: Sa): Operation => ({ addSa: { sa } });
export const deleteSa = (id: SaId | undefined): Operation => ({ deleteSa: { id } });
export const putPolicy = (policy: Policy): Operation => ({ putPolicy: { policy } });
