/**
 * sync: the loop that keeps the dataplane equal to what charon negotiated.
 *
 * From: requests and snapshots of the key feed. To: a DataplanePort, a TunnelControl.
 * Invariants: docs/design/sync.md.
 */

export type { Brake } from './deletions.ts';
export type { DryRun } from './dry-run.ts';
export type {
  ApplyOptions,
  ApplyOutcome,
  CallOptions,
  ChildSaListing,
  ChildSaName,
  ChildSaView,
  DataplaneCapabilities,
  DataplaneEvent,
  DataplanePort,
  IkeSaView,
  InitiateOutcome,
  OperationResult,
  PolicyListing,
  RandomBytes,
  RefusalCode,
  RevisionReading,
  SaListing,
  TunnelControl,
  UsageListing,
  UsageOptions,
} from './ports.ts';
export type {
  DesiredSnapshot,
  Readiness,
  SetupFailure,
  SyncAnswer,
  SyncChange,
  SyncRequest,
} from './requests.ts';
export { type JournalEntry, SaJournal, type SaTransition } from './sa-journal.ts';
export { hasSpi, type PendingWork, type SaStory, tellStories } from './sa-story.ts';
export type { UsageReport } from './soft-limits.ts';
export type { CycleSummary, SyncCounters, SyncDiff, SyncStatus, WaitingSetup } from './status.ts';
export { SyncEngine } from './sync-engine.ts';
export type { SyncEngineOptions } from './sync-engine-options.ts';
export type { Usage } from './usage-poller.ts';
