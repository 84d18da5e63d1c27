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
  /**
   * Charon's requests are answered, and the dataplane holds what it can of charon's tables: what it
   * refuses is in `repairs`.
   */
  readonly isReady: boolean;
  readonly plugin: LinkReport;
  readonly vici: LinkReport;
  readonly dataplane: LinkReport;
  readonly charonInstanceId: string | null;
  readonly dataplaneBootId: string | null;
  readonly desired: { readonly sas: number; readonly policies: number };
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
  /** Since the agent started. */
  readonly totals: TotalsReport;
};

/** One SA as the dataplane holds it, named by charon. */
export type SadEntry = {
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

export type PolicyEntry = {
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
export type DiffReport = { readonly isInSync: boolean; readonly entries: readonly DiffEntry[] };
