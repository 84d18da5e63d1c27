import type { Clock, Logger } from '../util/index.ts';
import type { Brake } from './deletions.ts';
import type { DataplanePort, RandomBytes, TunnelControl } from './ports.ts';
import type { Readiness } from './requests.ts';
import type { UsageReport } from './soft-limits.ts';

/**
 * A batch may take so many of the latencies the dataplane states: one to see the SA that is waited for, one
 * to move to it. charon waits three.
 */
export const DEADLINE_LATENCIES = 2.5;

export type SyncEngineOptions = {
  readonly dataplane: DataplanePort;
  readonly tunnels: TunnelControl;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** Called when requests can be answered from now on, or no longer. */
  readonly onReadiness?: (readiness: Readiness) => void;
  /** Called with each reading of the dataplane's counters. */
  readonly onUsage?: (usage: UsageReport) => void;
  /**
   * No answer by then is an ambiguous one. Less than what charon waits; 1 s unless told, and longer with a
   * dataplane whose stated latency is long.
   */
  readonly applyDeadlineMs?: number;
  /** 0: only when `audit` is called; 30 s unless told. */
  readonly auditIntervalMs?: number;
  /** When deletions that only charon's tables speak for stop; half of all, 10 at least, unless told. */
  readonly brake?: Brake;
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
export const REKEYING = {
  backOff: { firstMs: 5_000, maxMs: 60_000 },
  busyBackOff: { firstMs: 500, maxMs: 60_000 },
  /** The half of charon's threads that its plugin lets wait for an agent; the rest is the peers'. */
  slots: { count: 8, patienceMs: 1_000 },
} as const;
export const BRAKE: Brake = { maxShare: 0.5, allowance: 10 };
export const WITNESS_BACK_OFF = { firstMs: 2_000, maxMs: 60_000 } as const;
export const WITNESS_SPACING_MS = 1_000;
/** Pauses are shortened by up to that part of them. */
export const BACK_OFF_SPREAD = 0.5;
export const INTERVAL_SPREAD = 0.1;
export const INITIATION = {
  backOff: { firstMs: 1_000, maxMs: 60_000 },
  limit: { attempts: 16, windowMs: 60_000 },
  spacingMs: 20,
  lookAgainMs: 1_000,
  /** Longer than the requests of one setup are waited for. */
  refusalMs: 5_000,
} as const;
