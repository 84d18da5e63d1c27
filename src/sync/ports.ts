import type {
  ActualPolicy,
  ActualSa,
  IpAddress,
  IpsecProtocol,
  Operation,
  PolicyId,
  ReqId,
  SaCounters,
  SaId,
  SaUsage,
  Spi,
  TrafficSelector,
} from '../sad/index.ts';

export type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What a dataplane says of itself, as far as the loop needs it. */
export type DataplaneCapabilities = {
  /** Hex. A new one: the dataplane lost its SAs and policies. */
  readonly bootId: string;
  readonly server: string;
  /** Largest number of operations in one batch. */
  readonly maxBatch: number;
  /** The longest the dataplane usually takes to make an operation effective. */
  readonly ackLatencyUs: number;
  /** Where traffic to be protected is routed into; undefined when the host's routes play no part. */
  readonly routeInterface: string | undefined;
  /** Whether an inbound SA can start with a given replay state. */
  readonly takesReplayState: boolean;
  /** SPIs come out of few slots, and every one that is reserved takes one: none is reserved ahead. */
  readonly hasScarceSpis: boolean;
  /** Holds traffic back from its start until it is told that a first comparison is done. */
  readonly waitsForInSync: boolean;
};

export type RefusalCode =
  | 'invalid'
  | 'unsupported-algorithm'
  | 'unsupported-feature'
  | 'unsupported-mode'
  | 'unsupported-address-family'
  | 'unsupported-protocol'
  | 'spi-collision'
  | 'capacity'
  | 'not-found'
  | 'temporary'
  | 'internal';

/** The dataplane's answer to one operation. */
export type OperationResult =
  | {
      readonly kind: 'ok';
      /** An add that found the same entry, or a delete that found none. */
      readonly isUnchanged: boolean;
      /** The answer to reserve-spi. */
      readonly spi?: Spi | undefined;
      /** The answer to delete-sa, if the SA was there. */
      readonly counters?: SaCounters | undefined;
    }
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly reason: string };

export type ApplyOutcome =
  /** One result for each operation, in order. */
  | {
      readonly kind: 'done';
      readonly results: readonly OperationResult[];
      /** Of our entries, with this batch in effect. */
      readonly revision: bigint;
    }
  /** Nothing was applied: another writer took over. */
  | { readonly kind: 'fenced'; readonly reason: string }
  /** Nothing was applied: the batch as a whole is wrong, or never left. */
  | { readonly kind: 'rejected'; readonly reason: string }
  /** No answer (deadline, lost connection): each operation may or may not be in effect, or get so late. */
  | { readonly kind: 'unknown'; readonly reason: string };

export type ApplyOptions = CallOptions & {
  readonly deadlineMs: number;
  /** Stored with every entry the batch adds or changes; hex. */
  readonly charonInstanceId: string;
};

/** Grows by one with every change of our entries that is in effect. */
export type RevisionReading = { readonly bootId: string; readonly revision: bigint };

export type SaListing = { readonly bootId: string; readonly sas: readonly ActualSa[] };
export type PolicyListing = {
  readonly bootId: string;
  readonly policies: readonly ActualPolicy[];
  /** On the dataplane's own clock. */
  readonly listedAtMs: bigint;
};
export type UsageListing = {
  readonly bootId: string;
  readonly usages: readonly SaUsage[];
  /** On the dataplane's own clock. */
  readonly listedAtMs: bigint;
};

/** `usedSinceMs`: without those that carried no packet since an earlier listing of this boot. */
export type UsageOptions = CallOptions & { readonly usedSinceMs?: bigint | undefined };

export type DataplaneEvent =
  /** First in every stream. */
  | { readonly kind: 'boot'; readonly bootId: string }
  /** Events were lost. */
  | { readonly kind: 'gap' }
  /** A lifetime ended. After a hard expiry the SA is gone. */
  | { readonly kind: 'expire'; readonly id: SaId; readonly isHard: boolean; readonly reqid: ReqId }
  /** A packet matched a trap policy; the selectors are the packet's own. */
  | {
      readonly kind: 'acquire';
      readonly policy: PolicyId;
      readonly reqid: ReqId;
      readonly source: TrafficSelector;
      readonly destination: TrafficSelector;
    }
  /** Valid packets of an encapsulated inbound SA come from a new address or port. */
  | {
      readonly kind: 'peer-address';
      readonly id: SaId;
      readonly reqid: ReqId;
      readonly address: IpAddress;
      readonly port: number;
    }
  /** An outbound SA has no sequence numbers left and sends no more. */
  | { readonly kind: 'sequence-overflow'; readonly id: SaId; readonly reqid: ReqId };

/**
 * A dataplane behind the contract, showing this owner's entries only. Calls other than
 * `apply` throw AgentError; `apply` returns every outcome.
 */
export type DataplanePort = {
  readonly capabilities: (options?: CallOptions) => Promise<DataplaneCapabilities>;
  /** Makes us the owner's writer and fences every earlier one, our own earlier batches included. */
  readonly acquireWriter: (options?: CallOptions) => Promise<void>;
  readonly apply: (batch: readonly Operation[], options: ApplyOptions) => Promise<ApplyOutcome>;
  /** A first comparison since we are the writer is done: what charon has is in, as far as it can be. */
  readonly reportInSync: (options?: CallOptions) => Promise<void>;
  /** With key fingerprints under `nonce`. */
  readonly listSas: (nonce: Uint8Array, options?: CallOptions) => Promise<SaListing>;
  readonly listPolicies: (options?: UsageOptions) => Promise<PolicyListing>;
  readonly listCounters: (options?: UsageOptions) => Promise<UsageListing>;
  /** Whether a listing would show anything new. */
  readonly revision: (options?: CallOptions) => Promise<RevisionReading>;
  /** Ends when the dataplane goes away; `break` unsubscribes. */
  readonly watchEvents: (options?: CallOptions) => AsyncIterable<DataplaneEvent>;
};

/** A CHILD_SA as charon lists it. */
export type ChildSaView = {
  readonly name: string;
  /** charon's unique ids: `child-id` and `ike-id` in VICI. */
  readonly childId: string;
  readonly ikeId: string;
  /** INSTALLED, REKEYED, ... as VICI prints it. */
  readonly state: string;
  readonly protocol: IpsecProtocol;
  readonly inboundSpi: Spi | undefined;
  readonly outboundSpi: Spi | undefined;
};

export type ChildSaListing = {
  readonly children: readonly ChildSaView[];
  /** What is not among them does not exist. */
  readonly isComplete: boolean;
};

/** A CHILD_SA, and the connection it belongs to, as charon's configuration names them. */
export type ChildSaName = { readonly ike: string; readonly child: string };

/** An IKE_SA as charon lists it, with regard to one of its CHILD_SAs. */
export type IkeSaView = {
  /** It is on its way itself, or one of its CHILD_SAs is; which one charon does not say. */
  readonly isSettingUp: boolean;
  /** INSTALLED, REKEYED, ... of each that has the name. */
  readonly childStates: readonly string[];
};

export type InitiateOutcome =
  /** Under way; a listing tells what becomes of it. */
  | { readonly kind: 'started' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** Charon has nothing by these names that it could initiate. */
  | { readonly kind: 'impossible'; readonly reason: string };

/** charon's ear: commands over VICI. Calls throw AgentError. */
export type TunnelControl = {
  /** Must not wait for busy IKE_SAs (`noblock`). */
  readonly listChildSas: (options?: CallOptions) => Promise<readonly ChildSaView[]>;
  /** Waits for busy IKE_SAs, and says whether charon has no more than what is listed. */
  readonly listAllChildSas: (options?: CallOptions) => Promise<ChildSaListing>;
  readonly rekeyChildSa: (child: ChildSaView, options?: CallOptions) => Promise<void>;
  /** Those of its connection. Busy ones are left out, as above. */
  readonly listIkeSas: (name: ChildSaName, options?: CallOptions) => Promise<readonly IkeSaView[]>;
  /** Does not wait until it is up. */
  readonly initiateChildSa: (name: ChildSaName, options?: CallOptions) => Promise<InitiateOutcome>;
};

/** `lengthBytes` unpredictable bytes. */
export type RandomBytes = (lengthBytes: number) => Uint8Array;
