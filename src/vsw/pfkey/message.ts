import type { SecretBytes } from '../../util/index.ts';

/** An IPv4 address in host order. */
export type Ipv4 = number;

export type OuterPair = { readonly source: Ipv4; readonly destination: Ipv4 };

export type PfkeySaId = OuterPair & { readonly spi: number };

/** One side of a policy's selector: a prefix, a port or 0 for any. */
export type PfkeySelector = { readonly address: Ipv4; readonly prefixLength: number; readonly port: number };

export type PfkeyPolicy = {
  readonly direction: 'inbound' | 'outbound';
  readonly type: 'protect' | 'bypass' | 'discard';
  readonly priority: number;
  readonly source: PfkeySelector;
  readonly destination: PfkeySelector;
  /** Of the upper layer; 0 is any. */
  readonly protocol: number;
  /** The outer addresses of the SA it needs; vsw binds it to the newest one with this pair. */
  readonly tunnel: OuterPair;
  readonly reqid: number;
};

export type PfkeyKey = { readonly algorithm: number; readonly key: SecretBytes };

export type PfkeySa = PfkeySaId & {
  readonly encryption: PfkeyKey;
  /** Absent with an AEAD. */
  readonly integrity?: PfkeyKey | undefined;
  /** Seconds from now; 0 is no limit. vsw crashes without these extensions, so that both are always sent. */
  readonly hardSeconds: number;
  readonly softSeconds: number;
  readonly udp?: { readonly sourcePort: number; readonly destinationPort: number } | undefined;
};

/** What we send. vsw closes the connection on anything else, or dies of it. */
export type PfkeyRequest =
  | { readonly kind: 'register' }
  | ({ readonly kind: 'add' } & PfkeySa)
  | ({ readonly kind: 'delete' } & PfkeySaId)
  | ({ readonly kind: 'get' } & PfkeySaId)
  | { readonly kind: 'dump' }
  | ({ readonly kind: 'spd-add' } & PfkeyPolicy)
  | ({ readonly kind: 'spd-update' } & PfkeyPolicy)
  | ({ readonly kind: 'spd-delete' } & PfkeyPolicy)
  | { readonly kind: 'spd-get'; readonly id: number };

export type PfkeyLifetime = {
  readonly allocations: number;
  readonly bytes: bigint;
  readonly addSeconds: bigint;
  readonly useSeconds: bigint;
};

/** Lengths in bits, as vsw gives them: wrong by a factor of 8 for integrity. */
export type PfkeyAlgorithm = {
  readonly id: number;
  readonly ivBytes: number;
  readonly minBits: number;
  readonly maxBits: number;
};

/** What vsw sends: the answer to a request, or an upcall. */
export type PfkeyMessage = {
  readonly type: number;
  /** 0 is success. */
  readonly errno: number;
  readonly sequence: number;
  readonly pid: number;
  readonly sa?: {
    readonly spi: number;
    readonly state: number;
    readonly auth: number;
    readonly encrypt: number;
  };
  readonly source?: PfkeySelector & { readonly protocol: number };
  readonly destination?: PfkeySelector & { readonly protocol: number };
  readonly current?: PfkeyLifetime;
  readonly hard?: PfkeyLifetime;
  readonly soft?: PfkeyLifetime;
  readonly encryptionKey?: SecretBytes;
  readonly integrityKey?: SecretBytes;
  readonly policy?: {
    readonly type: number;
    readonly direction: number;
    readonly id: number;
    readonly priority: number;
  };
  readonly auth?: readonly PfkeyAlgorithm[];
  readonly encrypt?: readonly PfkeyAlgorithm[];
};
