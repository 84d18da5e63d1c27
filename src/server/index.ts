/**
 * What every server of the contract lagopus.ipsec.v1 has: its RPCs over a backend, writers and their
 * epochs, numbered events, listings in chunks, revisions, and where it listens.
 *
 * From: a client of the contract. To: a ContractBackend, which dataplane and vsw each are.
 *
 * Invariants: one writer an owner, earlier ones are fenced; a stream of requests is answered in its
 * order; an event is numbered once, and what a watcher missed is a gap; keys in a request are wiped.
 */
export { checkBatchSize, checkOneKind, resultOfFailure, wipeRequestKeys } from './batch.ts';
export { ContractServer } from './contract-server.ts';
export { type ContractBackend, createService } from './contract-service.ts';
export { type DataplaneEvent, EventLog } from './event-log.ts';
export { featureName, refuseFeature } from './feature-refusal.ts';
export { type LifetimeEnd, Lifetimes } from './lifetimes.ts';
export { listen } from './listen.ts';
export {
  absolutePath,
  type ListenConfig,
  listenFields,
  listenProblemOf,
  listenUri,
} from './listen-config.ts';
export type { Reading } from './listing.ts';
export { Refusal } from './refusal.ts';
export { RequestError } from './request-error.ts';
export { Revisions } from './revision.ts';
export { differingFields } from './sa-parameters.ts';
export { type Author, Writers } from './writers.ts';
