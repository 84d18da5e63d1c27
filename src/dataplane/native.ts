import { AgentError, loadAddon } from '../util/index.ts';
import type { Address, Family } from './address.ts';

/** enum flow_action of native/flow.h */
export const FlowAction = {
  drop: 0,
  protect: 1,
  bypass: 2,
  discard: 3,
  trap: 4,
  pass: 5,
  mismatch: 6,
} as const;
export type FlowAction = (typeof FlowAction)[keyof typeof FlowAction];

/** enum fragment_policy of native/engine.h */
export const FragmentPolicy = { before: 0, after: 1, never: 2 } as const;
export type FragmentPolicy = (typeof FragmentPolicy)[keyof typeof FragmentPolicy];

/** enum sa_event of native/esp.h */
export const SaEvent = {
  softBytes: 1,
  softPackets: 2,
  hardBytes: 4,
  hardPackets: 8,
  sequenceOverflow: 16,
  peerAddress: 32,
} as const;

/** enum esp_result of native/esp.h, without success */
export const EspResult = {
  malformed: 1,
  replayed: 2,
  integrity: 3,
  dummy: 4,
  congestion: 5,
  exhausted: 6,
  expired: 7,
  inner: 8,
  selectors: 9,
  policy: 10,
} as const;

/** Names an SA or a policy inside the engine; 0 is none. */
export type Handle = number;

export type NativeSa = {
  readonly isInbound: boolean;
  /** 50 is ESP, 51 AH. */
  readonly protocol: number;
  readonly isTransport: boolean;
  readonly spi: number;
  readonly source: Address;
  readonly destination: Address;
  readonly isUdp: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscpOut: boolean;
  readonly copyDscpIn: boolean;
  /** Inbound: where its packets go, a place in the list of devices given to open(). */
  readonly device: number;
  /** Inbound: its SaGroups number. */
  readonly group: number;
  /** Outbound: the mark of what it sends. */
  readonly mark: number;
  /** 0 is no limit. */
  readonly softBytes: bigint;
  readonly softPackets: bigint;
  readonly hardBytes: bigint;
  readonly hardPackets: bigint;
  /** Extended (64-bit) sequence numbers. */
  readonly isEsn: boolean;
  readonly nextSequence: bigint;
  /** Outbound: shorter inner packets are padded to this many bytes, or to the MTU. */
  readonly tfcLength: number;
  readonly replayWindow: number;
  readonly replayHighest: bigint;
  readonly replayBitmap: Uint8Array;
  /** As flattenSelectors() gives them. */
  readonly sourceSelectors: Uint32Array;
  readonly destinationSelectors: Uint32Array;
  readonly encryption: number;
  readonly encryptionKey: Uint8Array;
  readonly integrity: number;
  readonly integrityKey: Uint8Array;
};

export type NativeEndpoints = Pick<
  NativeSa,
  'source' | 'destination' | 'isUdp' | 'sourcePort' | 'destinationPort' | 'group'
>;

/** Ports are -1 when a packet has none. */
export type NativeCallbacks = {
  /** What the SPD says of a packet: FlowAction, policy handle, SA handle. Must not call the engine. */
  readonly classify: (
    isInbound: boolean,
    device: number,
    family: Family,
    source: Address,
    destination: Address,
    protocol: number,
    sourcePort: number,
    destinationPort: number,
    group: number,
  ) => Uint32Array;
  /** `event` is one of SaEvent; address and port are the peer's, for peerAddress. */
  readonly saEvent: (sa: Handle, event: number, address: Address, port: number) => void;
  readonly acquire: (
    policy: Handle,
    source: Address,
    destination: Address,
    protocol: number,
    sourcePort: number,
    destinationPort: number,
  ) => void;
  /**
   * One dropped packet, at most once a second for each reason, and how many others there were since the
   * last one. The addresses are the outer ones of a packet that came in, the inner ones of another.
   */
  readonly dropped: (
    reason: string,
    leftOut: bigint,
    spi: number,
    sequence: number,
    source: Address,
    destination: Address,
  ) => void;
  /** A TUN device or a socket is unusable. */
  readonly fault: (what: string, why: string) => void;
  /** After close(): every descriptor is closed. */
  readonly closed: () => void;
};

/** Places in what readSa() and removeSa() fill in. */
export const SaWord = {
  bytes: 0,
  packets: 1,
  idleMs: 2,
  replayDrops: 3,
  integrityFailures: 4,
  selectorDrops: 5,
  malformedDrops: 6,
  nextSequence: 7,
  highestSequence: 8,
  count: 9,
} as const;

/** Places in what readPolicy() fills in. */
export const PolicyWord = { packets: 0, bytes: 1, idleMs: 2, count: 3 } as const;

/** What idleMs says when there never was a packet. */
export const NEVER = 2n ** 64n - 1n;

/** The packet paths (native/engine.h). Every method throws on a handle or value that is wrong. */
export type NativeEngine = {
  /** Opens the TUN devices (1 to 256) and the raw sockets; packets move from now on. */
  open(config: {
    readonly devices: readonly { readonly name: string; readonly mtu: number }[];
    readonly isPersistent: boolean;
    readonly fwmark: number;
    readonly udpPort: number;
    readonly fragment: FragmentPolicy;
    readonly clampMss: boolean;
    /** The device on which packets are seen in clear (native/tap.h); undefined for none. */
    readonly tap: string | undefined;
  }): void;
  /** Wipes and removes everything; true if `closed` will be called. */
  close(): boolean;
  /** Whether an SA may have these algorithms and key lengths (in bytes), and this OpenSSL has them; encryption 0 is AH. */
  supports(
    encryption: number,
    encryptionKeyBytes: number,
    integrity: number,
    integrityKeyBytes: number,
  ): boolean;
  /** Copies the keys. */
  addSa(sa: NativeSa): Handle;
  moveSa(sa: Handle, endpoints: NativeEndpoints): void;
  readSa(sa: Handle, words: BigUint64Array): void;
  /** Reads it a last time, wipes its keys and removes it. */
  removeSa(sa: Handle, words: BigUint64Array): void;
  /** The largest packet that fits through an outbound tunnel as its path is known; 0: not known, or no tunnel. */
  largestInner(sa: Handle): number;
  readReplay(sa: Handle): Buffer;
  hasKeys(sa: Handle, encryptionKey: Uint8Array, integrityKey: Uint8Array): boolean;
  fingerprint(sa: Handle, nonce: Uint8Array): Buffer;
  addPolicy(): Handle;
  readPolicy(policy: Handle, words: BigUint64Array): void;
  removePolicy(policy: Handle): void;
  /** After any change of what classify() would say. */
  clearFlows(): void;
  /** Delivers what the raw sockets hold already, up to a bound; callbacks come from within. */
  receive(): void;
  /** Gives a TUN device another MTU, up to the one it was opened with. */
  setMtu(device: number, mtu: number): void;
  statistics(): Record<string, bigint>;
  /** One packet without any descriptor, as if the MTU were 1400: the outer packet, or an EspResult. */
  encapsulate(sa: Handle, inner: Uint8Array): Buffer | number;
  /** The inner packet of an outer packet, or an EspResult. */
  decapsulate(outer: Uint8Array): Buffer | number;
};

type NativeModule = { readonly Engine: new (callbacks: NativeCallbacks) => NativeEngine };

function isNativeModule(value: unknown): value is NativeModule {
  return (
    typeof value === 'object' && value !== null && 'Engine' in value && typeof value.Engine === 'function'
  );
}

/** @throws AgentError when the addon was not built. */
export function createEngine(callbacks: NativeCallbacks): NativeEngine {
  const addon = loadAddon();
  if (!isNativeModule(addon))
    throw new AgentError('the native addon is not ours: build it again', { code: 'unsupported' });
  return new addon.Engine(callbacks);
}
