import { randomBytes } from 'node:crypto';
import type { DeviceMtus } from '../../src/dataplane/device-mtus.ts';
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

function aead(name: string, encryption: number, saltBytes: number, bits: number): Suite {
  return { ...gcm128, name: `${name}-${bits}`, encryption, encryptionKeyBytes: bits / 8 + saltBytes };
}

function withIntegrity(
  [name, encryption, encryptionKeyBytes]: readonly [string, number, number],
  [integrityName, integrity, integrityKeyBytes]: readonly [string, number, number],
): Suite {
  return { name: `${name} ${integrityName}`, encryption, encryptionKeyBytes, integrity, integrityKeyBytes };
}

const sha256 = ['HMAC-SHA2-256-128', 12, 32] as const;
const sha1 = ['HMAC-SHA1-96', 2, 20] as const;

/** The proposals in use everywhere. */
export const suites: readonly Suite[] = [
  gcm128,
  aead('AES-GCM', 20, 4, 256),
  withIntegrity(['AES-CBC-128', 12, 16], sha256),
  withIntegrity(['AES-CBC-256', 12, 32], sha256),
  withIntegrity(['AES-CBC-128', 12, 16], sha1),
  withIntegrity(['AES-CBC-256', 12, 32], sha1),
];

const keyBits = [128, 192, 256] as const;

/** Every algorithm the dataplane has, in every key length. */
export const everySuite: readonly Suite[] = [
  gcm128,
  ...keyBits.flatMap((bits) => [
    ...(bits === 128 ? [] : [aead('AES-GCM', 20, 4, bits)]),
    aead('AES-GCM-8', 18, 4, bits),
    aead('AES-GCM-12', 19, 4, bits),
    aead('AES-CCM-8', 14, 3, bits),
    aead('AES-CCM-12', 15, 3, bits),
    aead('AES-CCM-16', 16, 3, bits),
    aead('NULL-AES-GMAC', 21, 4, bits),
    withIntegrity([`AES-CBC-${bits}`, 12, bits / 8], sha256),
    withIntegrity([`AES-CTR-${bits}`, 13, bits / 8 + 4], sha256),
  ]),
  aead('ChaCha20-Poly1305', 28, 4, 256),
  ...[
    sha1,
    ['HMAC-SHA2-384-192', 13, 48] as const,
    ['HMAC-SHA2-512-256', 14, 64] as const,
    ['AES-XCBC-96', 5, 16] as const,
    ['AES-CMAC-96', 8, 16] as const,
  ].flatMap((integrity) => [
    withIntegrity(['AES-CBC-128', 12, 16], integrity),
    withIntegrity(['NULL', 11, 0], integrity),
  ]),
  withIntegrity(['NULL', 11, 0], sha256),
  withIntegrity(['3DES-CBC', 3, 24], sha1),
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
  readonly reqid?: number;
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
    reqid: options.reqid ?? 1,
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

/** Of devices whose MTU is configured. */
export const noMtus: Pick<DeviceMtus, 'changed' | 'removed'> = {
  changed: () => undefined,
  removed: () => undefined,
};
