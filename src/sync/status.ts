import type { PolicyKey, SaKey } from '../sad/index.ts';
import type { ChildSaName } from './ports.ts';

/** What one comparison with the dataplane did. */
export type CycleSummary = {
  readonly added: number;
  readonly updated: number;
  readonly deleted: number;
  readonly failed: number;
  /** No answer: to be looked at again. */
  readonly unknown: number;
};

/** Desired against the dataplane's listing. */
export type SyncDiff = {
  readonly sas: {
    readonly missing: readonly SaKey[];
    readonly unexpected: readonly SaKey[];
    readonly different: readonly { readonly key: SaKey; readonly fields: readonly string[] }[];
  };
  readonly policies: {
    readonly missing: readonly PolicyKey[];
    readonly unexpected: readonly PolicyKey[];
    readonly different: readonly { readonly key: PolicyKey; readonly fields: readonly string[] }[];
  };
};

/** Totals since the start. */
export type SyncCounters = CycleSummary & {
  readonly requests: number;
  /** Requests that were refused or have to be tried again. */
  readonly refused: number;
  readonly batches: number;
  /** Sent to the dataplane. */
  readonly operations: number;
  readonly cycles: number;
  readonly rekeysAsked: number;
  readonly initiationsAsked: number;
};

/** A CHILD_SA that is not there for a passing reason. */
export type WaitingSetup = ChildSaName & {
  readonly reason: string;
  /** Initiations so far. */
  readonly attempts: number;
  /** In how many milliseconds charon is looked at again, and asked if need be. */
  readonly nextLookMs: number;
};

export type SyncStatus = {
  /** down, waiting for the first snapshot, taking the writer's role, or up. */
  readonly link: 'down' | 'no-snapshot' | 'acquiring' | 'fenced' | 'up';
  readonly reason: string | undefined;
  /** The dataplane was compared with desired since it came up, and nothing failed is left. */
  readonly isInSync: boolean;
  readonly bootId: string | undefined;
  readonly charonInstanceId: string | undefined;
  readonly desiredSas: number;
  readonly desiredPolicies: number;
  /** charon's FWD policies, which no dataplane holds. */
  readonly forwardPolicies: number;
  readonly waitingRequests: number;
  /** Failed background work waiting for its next try. */
  readonly repairs: readonly { readonly key: string; readonly attempts: number; readonly reason: string }[];
  /** What charon does not have, the dataplane has, and stays (invariant 6). */
  readonly withheld: {
    /** Another charon that is running installed it. */
    readonly foreign: readonly string[];
    /** Too much at once: waiting for VICI's listings to lack it too. */
    readonly braked: readonly string[];
  };
  /** SAs the dataplane lost, whose CHILD_SAs charon is asked to rekey. */
  readonly rekeys: readonly SaKey[];
  /** CHILD_SAs that could not be set up, which charon is asked to initiate again. */
  readonly setups: readonly WaitingSetup[];
  readonly lastCycle: CycleSummary | undefined;
  /** How long it took, its repair included. */
  readonly lastCycleMs: number;
  /** Infinite when no comparison is due. */
  readonly nextCycleInMs: number;
  /** What all comparisons did. */
  readonly cycleSums: CycleSummary;
  readonly counters: SyncCounters;
};
