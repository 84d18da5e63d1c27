import type { Clock, Logger } from '../util/index.ts';
import type { DataplanePort, RandomBytes, TunnelControl } from './ports.ts';
import type { Readiness } from './requests.ts';
import type { Usage } from './usage-poller.ts';

export type SyncEngineOptions = {
  readonly dataplane: DataplanePort;
  readonly tunnels: TunnelControl;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** Called when requests can be answered from now on, or no longer. */
  readonly onReadiness?: (readiness: Readiness) => void;
  /** Called with each reading of the dataplane's counters. */
  readonly onUsage?: (usage: Usage) => void;
  /** No answer by then is an ambiguous one. Less than what charon waits; 1 s unless told. */
  readonly applyDeadlineMs?: number;
  /** 0: only when `audit` is called; 30 s unless told. */
  readonly auditIntervalMs?: number;
  /** 0: never; 1 s unless told. */
  readonly usageIntervalMs?: number;
  /** Requests beyond that are to be tried again; 4096 unless told. */
  readonly maxWaiting?: number;
  /** Operations of a repair in one batch, for which a request may have to wait; 128 unless told. */
  readonly backgroundBatch?: number;
};

/** An audit in so many lists and compares everything even if the revision says that nothing changed. */
export const AUDITS_PER_LISTING = 20;

export const ACQUIRE_BACK_OFF = { firstMs: 100, maxMs: 5_000 } as const;
export const REPAIR_BACK_OFF = { firstMs: 200, maxMs: 60_000 } as const;
export const REKEY_BACK_OFF = { firstMs: 5_000, maxMs: 60_000 } as const;
/** The half of charon's threads that its plugin lets wait for an agent; the rest is the peers'. */
export const REKEY_SLOTS = { count: 8, patienceMs: 1_000 } as const;
