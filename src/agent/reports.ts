import type { SpiSlots } from '../lagopus/index.ts';
import type { CycleSummary } from '../sync/index.ts';

/** How a part of the agent stands with the process it talks to. */
export type LinkReport = {
  readonly state: 'connected' | 'connecting';
  /** Program and version of the other side, once it said so. */
  readonly peer: string | null;
  /** Why it is not connected. */
  readonly reason: string | null;
};

export type TotalsReport = {
  /** Everything sent to the dataplane. */
  readonly operations: number;
  /** Comparisons with the dataplane. */
  readonly cycles: number;
  /** CHILD_SAs that charon was asked to initiate again. */
  readonly initiations: number;
  readonly added: number;
  readonly updated: number;
  readonly deleted: number;
  readonly failed: number;
  readonly unknown: number;
};

/** A CHILD_SA that is not there. */
export type SetupReport = {
  /** Names of charon's configuration. */
  readonly ike: string;
  readonly child: string;
  readonly reason: string;
  readonly attempts: number;
  readonly nextLookMs: number;
};

/** What `ipsec-agent status` shows. */
export type StatusReport = {
  readonly version: string;
  /** With `vici` nothing is installed and nothing deleted: it is shown and compared. */
  readonly source: 'plugin' | 'vici';
  /**
   * Charon's requests are answered, and the dataplane holds what it can of charon's tables: what it
   * refuses is in `repairs`. Never with `source: vici`, where charon asks somebody else.
   */
  readonly isReady: boolean;
  /** Null with `source: vici`. */
  readonly plugin: LinkReport | null;
  readonly vici: LinkReport;
  readonly dataplane: LinkReport;
  readonly charonInstanceId: string | null;
  readonly dataplaneBootId: string | null;
  /** With `source: vici` what charon listed last. */
  readonly desired: CountsReport;
  /** What the dataplane was last seen to hold; null before it was. */
  readonly actual: CountsReport | null;
  /** Tables of few places for SPIs, of a dataplane that has such; empty when it cannot be asked. */
  readonly spiSlots: readonly SpiSlots[];
  /** What the dataplane has to say to a person. */
  readonly dataplaneNotes: readonly string[];
  /** Requests and repairs that are not applied yet. */
  readonly pending: number;
  /** What failed and is tried again, and why. */
  readonly repairs: readonly { readonly key: string; readonly attempts: number; readonly reason: string }[];
  /** What charon does not have, the dataplane has, and is left alone: and why. */
  readonly withheld: {
    /** Another charon that is running installed it under this owner. */
    readonly foreign: readonly string[];
    /** Too many at once: until VICI's listings lack them too. */
    readonly braked: readonly string[];
  };
  /** CHILD_SAs that could not be set up for a passing reason, and are initiated again over VICI. */
  readonly setups: readonly SetupReport[];
  /** SAs whose CHILD_SA charon is asked to rekey, and how often it was asked. */
  readonly rekeys: { readonly wanted: number; readonly asked: number };
  /** Since the agent started. */
  readonly totals: TotalsReport;
  /** What comparisons did, all together and the last one. */
  readonly cycles: {
    readonly sums: CycleSummary;
    readonly last: (CycleSummary & { readonly durationMs: number }) | null;
  };
  /** How often each was seen to start anew since the agent started. */
  readonly restarts: { readonly charon: number; readonly dataplane: number };
  /** charon's requests by kind, and by the code they were answered with: `ok` or why not. */
  readonly requests: readonly { readonly kind: string; readonly code: string; readonly count: number }[];
  readonly latency: readonly LatencyReport[];
  readonly audit: AuditReport;
};

export type CountsReport = { readonly sas: number; readonly policies: number };

/** From charon's request to its answer. */
export type LatencyReport = {
  readonly kind: string;
  readonly count: number;
  readonly sumSeconds: number;
  /** How many took no longer than `leSeconds`. */
  readonly buckets: readonly { readonly leSeconds: number; readonly count: number }[];
};

/** charon's listings over VICI, and where they and its plugin do not agree. */
export type AuditReport = {
  readonly completeListings: number;
  readonly incompleteListings: number;
  readonly lastCompleteSecondsAgo: number | null;
  readonly findings: readonly {
    /** `untold`: charon lists it and the plugin has not told of it. `unlisted`: the other way. */
    readonly kind: 'untold' | 'unlisted';
    readonly sa: string;
    readonly childSa: string | null;
    readonly sinceSeconds: number;
  }[];
};

/** What narrows an SA or policy to a part of the traffic; null where it does not. */
export type ScopeReport = {
  readonly vrf: string | null;
  readonly ifId: number | null;
  /** Value and mask, `0x2a/0xffffffff`. */
  readonly mark: string | null;
};

/** One SA as the dataplane holds it, named by charon. */
export type SadEntry = ScopeReport & {
  readonly direction: 'inbound' | 'outbound';
  readonly protocol: 'esp' | 'ah';
  /** Eight hex digits. */
  readonly spi: string;
  readonly source: string;
  readonly destination: string;
  readonly encapsulation: 'udp' | 'none';
  readonly algorithm: string;
  readonly reqid: number;
  readonly ageSeconds: number;
  readonly packets: string;
  readonly bytes: string;
  readonly drops: string;
  /** CHILD_SA name and unique id; null when charon lists none with this SPI. */
  readonly childSa: string | null;
};

export type PolicyEntry = ScopeReport & {
  readonly direction: 'inbound' | 'outbound';
  readonly source: string;
  readonly destination: string;
  readonly action: string;
  readonly priority: number;
};

/** What `ipsec-agent sad` shows: the dataplane's listing. */
export type SadReport = { readonly sas: readonly SadEntry[]; readonly policies: readonly PolicyEntry[] };

/** An SA or policy on which charon and the dataplane differ. */
export type DiffEntry = {
  readonly kind: 'missing' | 'unexpected' | 'different';
  readonly what: string;
  /** For `different`: which fields; otherwise empty. */
  readonly fields: readonly string[];
};

/** What `ipsec-agent diff` shows: charon's view against the dataplane's. */
export type DiffReport = {
  readonly isInSync: boolean;
  readonly entries: readonly DiffEntry[];
  /** What could not be compared, and why; absent when there is nothing. */
  readonly notes?: readonly string[];
};

/** What `ipsec-agent diff --plan` shows: what would be done now, and what not. */
export type PlanReport = DiffReport & {
  /** False with `source: vici`: nothing is ever sent. */
  readonly isSent: boolean;
  /** In the order they are sent. */
  readonly operations: readonly { readonly operation: string; readonly what: string }[];
  /** SAs that only a new key brings back: charon is asked to rekey their CHILD_SAs. */
  readonly rekeys: readonly {
    readonly sa: string;
    readonly attempts: number;
    readonly nextTryInMs: number;
  }[];
  /** What is not done now, and why. */
  readonly withheld: readonly {
    readonly what: string;
    readonly reason: string;
    readonly nextTryInMs: number | null;
  }[];
};

/** An SA as charon lists it. */
export type CharonSaEntry = {
  readonly childSa: string;
  readonly ikeSa: string;
  readonly state: string;
  readonly algorithm: string;
  readonly installedSecondsAgo: number | null;
  readonly rekeyInSeconds: number | null;
  readonly lifeInSeconds: number | null;
};

/** One SA: who has it, since when, what is pending, why it failed, what happens next. */
export type SaExplanation = {
  readonly direction: 'inbound' | 'outbound';
  readonly protocol: 'esp' | 'ah';
  readonly spi: string;
  readonly destination: string;
  /** Mark and if_id, if it has any; otherwise empty. */
  readonly qualifiers: string;
  /** Null: charon lists none, or could not be asked (`ExplainReport.unasked`). */
  readonly charon: CharonSaEntry | null;
  /** What the plugin has told, its keys left out. */
  readonly desired: {
    readonly source: string;
    readonly algorithm: string;
    readonly encapsulation: 'udp' | 'none';
    readonly reqid: number;
  } | null;
  /** Null: the dataplane has none, or could not be asked. */
  readonly dataplane: SadEntry | null;
  readonly pending: readonly string[];
  /** What happened to it, oldest first. */
  readonly story: readonly {
    /** ISO 8601, of the last in a row. */
    readonly at: string;
    readonly agoSeconds: number;
    readonly what: string;
    readonly times: number;
    readonly firstAgoSeconds: number;
    readonly detail: string | null;
  }[];
  readonly next: readonly string[];
};

/** What `ipsec-agent explain SPI` shows. */
export type ExplainReport = {
  readonly spi: string;
  readonly source: 'plugin' | 'vici';
  readonly sas: readonly SaExplanation[];
  /** When there is no SA with it: SPIs that look like it. */
  readonly nearMisses: readonly string[];
  /** Who could not be asked, and why. */
  readonly unasked: readonly string[];
};
