import type { SecretBytes } from '../util/index.ts';
import type {
  COPY_DSCP,
  HW_OFFLOAD,
  MODE,
  POLICY_DIRECTION,
  POLICY_TYPE,
  PRIORITY_CLASS,
  PROTOCOL,
  ResultCode,
  SA_DIRECTION,
} from './wire.ts';

/** An outer endpoint. IPv4 as usual, IPv6 as in RFC 5952; port 0 when it does not matter. */
export type Host = { readonly address: string; readonly port: number };

/** One side of a selector. ICMP as in RFC 7296, 3.13.1; `first` > `last` is OPAQUE. */
export type FeedTrafficSelector = {
  readonly firstAddress: string;
  readonly lastAddress: string;
  /** IP protocol, 0 is any. */
  readonly protocol: number;
  readonly ports: { readonly first: number; readonly last: number };
};

export type FeedMark = { readonly value: number; readonly mask: number };

/** Undefined is no limit. */
export type FeedLifetime = {
  readonly seconds: bigint | undefined;
  readonly bytes: bigint | undefined;
  readonly packets: bigint | undefined;
};

export type FeedProtocol = keyof typeof PROTOCOL;
export type SaDirection = keyof typeof SA_DIRECTION;
export type FeedPolicyDirection = keyof typeof POLICY_DIRECTION;
export type FeedMode = keyof typeof MODE;
export type FeedDscpCopy = keyof typeof COPY_DSCP;
export type HwOffload = keyof typeof HW_OFFLOAD;
export type PolicyType = keyof typeof POLICY_TYPE;
export type FeedPriorityClass = keyof typeof PRIORITY_CLASS;

export type FeedSaId = {
  readonly protocol: FeedProtocol;
  readonly spi: number;
  readonly source: Host;
  readonly destination: Host;
  readonly direction: SaDirection;
  readonly mark: FeedMark | undefined;
  readonly ifId: number | undefined;
};

/** An SA as charon asks for it. Whoever receives it owns the keys and wipes them. */
export type FeedSa = {
  readonly id: FeedSaId;
  readonly reqid: number;
  readonly mode: FeedMode;
  /** IKEv2 transform type 1, 0 none. */
  readonly encr: number;
  /** Key, then salt. */
  readonly encrKey: SecretBytes | undefined;
  /** IKEv2 transform type 3, 0 none. */
  readonly integ: number;
  readonly integKey: SecretBytes | undefined;
  readonly softLifetime: FeedLifetime;
  readonly hardLifetime: FeedLifetime;
  /** Packets, 0 off. */
  readonly replayWindow: number;
  readonly esn: boolean;
  readonly encap: boolean;
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: FeedDscpCopy;
  readonly tfc: number;
  readonly initiator: boolean;
  readonly sourceSelectors: readonly FeedTrafficSelector[];
  readonly destinationSelectors: readonly FeedTrafficSelector[];
  readonly ipcomp: number | undefined;
  readonly hwOffload: HwOffload | undefined;
  readonly interface: string | undefined;
  readonly label: Uint8Array | undefined;
  readonly setMark: FeedMark | undefined;
  readonly cpu: number | undefined;
  /** In a snapshot: since the installation. */
  readonly ageMs: bigint | undefined;
};

/** One user of a selector: charon installs the same one once per CHILD_SA. */
export type FeedPolicy = {
  readonly direction: FeedPolicyDirection;
  readonly source: FeedTrafficSelector;
  readonly destination: FeedTrafficSelector;
  readonly mark: FeedMark | undefined;
  readonly ifId: number | undefined;
  readonly interface: string | undefined;
  readonly label: Uint8Array | undefined;
  readonly type: PolicyType;
  readonly priorityClass: FeedPriorityClass;
  /** 0 automatic. */
  readonly manualPriority: number;
  readonly outerSource: Host;
  readonly outerDestination: Host;
  readonly reqid: number;
  readonly mode: FeedMode;
  /** 0 for shunts and traps. */
  readonly espSpi: number;
  readonly ahSpi: number;
  readonly ipcomp: number | undefined;
};

/** Opens a connection: which charon instance this is, and how long it waits for a RESULT. */
export type Hello = {
  readonly kind: 'hello';
  readonly version: number;
  /** 16 bytes as 32 hex digits; new with each charon. */
  readonly instance: string;
  readonly server: string;
  readonly deadlineMs: number;
  /** Since this charon started. */
  readonly ageMs?: bigint | undefined;
};
export type SnapshotBegin = { readonly kind: 'snapshot-begin'; readonly seq: bigint };
export type SnapshotEnd = { readonly kind: 'snapshot-end'; readonly seq: bigint; readonly count: number };
export type FeedError = { readonly kind: 'error'; readonly code: ResultCode; readonly reason: string };

export type GetSpi = {
  readonly kind: 'get-spi';
  readonly seq: bigint;
  readonly protocol: FeedProtocol;
  readonly source: Host;
  readonly destination: Host;
};
export type AddSa = {
  readonly kind: 'add-sa';
  readonly seq: bigint;
  readonly awaited: boolean;
  readonly sa: FeedSa;
};
export type UpdateSa = {
  readonly kind: 'update-sa';
  readonly seq: bigint;
  readonly id: FeedSaId;
  readonly newSource: Host;
  readonly newDestination: Host;
  /** The old value. */
  readonly encap: boolean;
  readonly newEncap: boolean;
  readonly newReqid: number | undefined;
};
export type DelSa = { readonly kind: 'del-sa'; readonly seq: bigint; readonly id: FeedSaId };
export type AddPolicy = {
  readonly kind: 'add-policy';
  readonly seq: bigint;
  readonly awaited: boolean;
  readonly policy: FeedPolicy;
};
export type DelPolicy = { readonly kind: 'del-policy'; readonly seq: bigint; readonly policy: FeedPolicy };
export type FlushSas = { readonly kind: 'flush-sas'; readonly seq: bigint };
export type FlushPolicies = { readonly kind: 'flush-policies'; readonly seq: bigint };
export type Probe = { readonly kind: 'probe'; readonly seq: bigint };

/** A CHILD_SA could not be set up, and charon does not try again. */
export type SetupFailed = {
  readonly kind: 'setup-failed';
  /** Names of charon's configuration. */
  readonly ike: string;
  readonly child: string;
  /** `refused`: it will not work. `try-again`: for a passing reason. */
  readonly code: ResultCode;
  readonly reason: string;
};

/** Everything the plugin says. */
export type PluginMessage =
  | Hello
  | SnapshotBegin
  | SnapshotEnd
  | FeedError
  | GetSpi
  | AddSa
  | UpdateSa
  | DelSa
  | AddPolicy
  | DelPolicy
  | FlushSas
  | FlushPolicies
  | Probe
  | SetupFailed;

/** What charon waits for: each has exactly one RESULT. */
export type FeedRequest = GetSpi | AddSa | UpdateSa | AddPolicy | Probe;

/** What has happened already and needs no answer. */
export type FeedChange = AddSa | DelSa | AddPolicy | DelPolicy | FlushSas | FlushPolicies;

export type AgentHello = {
  readonly kind: 'agent-hello';
  readonly version: number;
  readonly server: string;
  /** Whether the plugin is to tell of setups that failed. */
  readonly wantsFailures?: true | undefined;
};
export type Ready = {
  readonly kind: 'ready';
  /** Where charon's routes point to; undefined: no routes. */
  readonly routeInterface: string | undefined;
  readonly ackLatencyUs: number;
};
export type NotReady = { readonly kind: 'not-ready'; readonly reason: string };
export type Result = {
  readonly kind: 'result';
  readonly seq: bigint;
  readonly code: ResultCode;
  readonly reason: string | undefined;
  readonly spi: number | undefined;
};
export type Expire = {
  readonly kind: 'expire';
  readonly protocol: FeedProtocol;
  readonly spi: number;
  readonly destination: Host;
  readonly hard: boolean;
};
export type Acquire = {
  readonly kind: 'acquire';
  readonly reqid: number;
  readonly source: FeedTrafficSelector;
  readonly destination: FeedTrafficSelector;
};
export type Mapping = {
  readonly kind: 'mapping';
  readonly protocol: FeedProtocol;
  readonly spi: number;
  readonly destination: Host;
  readonly newSource: Host;
};
export type UsageEntry = {
  readonly protocol: FeedProtocol;
  readonly direction: SaDirection;
  readonly spi: number;
  readonly destination: string;
  readonly bytes: bigint;
  readonly packets: bigint;
  /** Undefined: never used. */
  readonly idleMs: bigint | undefined;
};
export type Usage = { readonly kind: 'usage'; readonly entries: readonly UsageEntry[] };
export type PolicyUsageEntry = {
  readonly direction: FeedPolicyDirection;
  readonly source: FeedTrafficSelector;
  readonly destination: FeedTrafficSelector;
  readonly mark: FeedMark | undefined;
  readonly ifId: number | undefined;
  /** Undefined: never used. */
  readonly idleMs: bigint | undefined;
};
export type PolicyUsage = { readonly kind: 'policy-usage'; readonly entries: readonly PolicyUsageEntry[] };

/** Everything the agent says. */
export type AgentMessage =
  | AgentHello
  | Ready
  | NotReady
  | Result
  | Expire
  | Acquire
  | Mapping
  | Usage
  | PolicyUsage;

/** Overwrites the keys a message carries, if any. */
export function wipeKeys(message: PluginMessage): void {
  if (message.kind !== 'add-sa') return;
  message.sa.encrKey?.wipe();
  message.sa.integKey?.wipe();
}
