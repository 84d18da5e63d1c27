import type { SaId, SecurityAssociation } from './security-association.ts';
import type { SecurityPolicy } from './security-policy.ts';

/** Inbound anti-replay state (RFC 4303, 3.4.3). */
export type ReplayState = {
  /** With ESN the upper 32 bits are the high word. */
  readonly highestSequence: bigint;
  /** Bit i (LSB of byte 0 is 0) is set when `highestSequence` - i was accepted. */
  readonly bitmap: Uint8Array;
};

/** Counters of one SA since its installation (RFC 9061, ipsec-sa-state). */
export type SaCounters = {
  readonly bytes: bigint;
  readonly packets: bigint;
  /** Milliseconds since the SA last carried a packet; undefined if never. */
  readonly idleMs: bigint | undefined;
  readonly replayDrops: bigint;
  readonly integrityFailures: bigint;
  readonly selectorDrops: bigint;
  readonly malformedDrops: bigint;
};

/** What changes in an SA while it carries packets. */
export type SaUsage = {
  readonly id: SaId;
  readonly counters: SaCounters;
  /** Outbound: the next sequence number to be sent. */
  readonly nextSequence: bigint;
  /** Inbound, when the dataplane tells. */
  readonly replayState: ReplayState | undefined;
};

/** An SA without its keys: what a listing shows. */
export type KeylessSa = Omit<SecurityAssociation, 'encryption' | 'integrity'> & {
  /** IANA transform ids; undefined as in `SecurityAssociation`. */
  readonly encryption: number | undefined;
  readonly integrity: number | undefined;
};

/** An SA as the dataplane lists it. */
export type ActualSa = {
  readonly sa: KeylessSa;
  readonly usage: SaUsage;
  /** Hex; undefined when the dataplane gave none. */
  readonly keyFingerprint: string | undefined;
  readonly charonInstanceId: string;
  readonly ageMs: bigint;
};

/** A policy as the dataplane lists it. */
export type ActualPolicy = {
  readonly policy: SecurityPolicy;
  readonly charonInstanceId: string;
  /** Since its installation; undefined when the dataplane does not tell. */
  readonly ageMs: bigint | undefined;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly idleMs: bigint | undefined;
};
