/**
 * vici: a client of strongSwan's control interface.
 *
 *     charon <-- commands, one at a time --> ViciClient --> agent, cli
 *            --- streams, one each -------->
 *            --- events, all together ----> ViciSubscription
 *
 * Invariants: docs/design/vici.md. The socket is always read; every queue is bounded
 * and says what it lost; malformed input ends the connection and nothing else; no
 * command asks for a log that holds keys.
 */
export type { AgentErrorCode } from '../util/index.ts';
export { AgentError, MalformedError } from '../util/index.ts';
export type { LoadedAlgorithm } from './algorithms.ts';
export type { LoadedAuthority } from './authority.ts';
export type {
  ChildSa,
  ChildSaHalf,
  ChildState,
  InstalledChildSa,
  ViciAlgorithm,
  ViciMark,
} from './child-sa.ts';
export type {
  AuthConfig,
  AuthorityConfig,
  ChildConfig,
  ConnectionConfig,
  CredentialData,
  PoolConfig,
} from './configuration.ts';
export type {
  ChildTarget,
  ControlOutcome,
  ControlProgress,
  MatchOutcome,
  RedirectFilter,
  SaFilter,
} from './control.ts';
export type { CounterFilter, CounterOutcome } from './counters.ts';
export type {
  CertificateFlag,
  CertificateToLoad,
  CertificateType,
  KeyOutcome,
  ListedCertificate,
  PrivateKeyToLoad,
  SharedKeyToLoad,
  TokenToLoad,
} from './credentials.ts';
export type { DaemonStats, DaemonVersion, JobCounts } from './daemon-info.ts';
export type { CallOptions } from './deadline.ts';
export { decodeMessage } from './decode-message.ts';
export { ElementCursor, type ElementKind } from './element-cursor.ts';
export { encodeMessage, type ViciArguments, type ViciScalar } from './encode-message.ts';
export type { AlertType, ViciEvent, ViciEventName } from './events.ts';
export { formatRaw } from './format-raw.ts';
export type { IkeEndpoint, IkePeer, IkeSa, IkeState } from './ike-sa.ts';
export type { AuthRound, LoadedChild, LoadedConnection } from './loaded-connection.ts';
export type { LogLevel, LogMessage } from './log-message.ts';
export { NameTable } from './name-table.ts';
export { decodePacket, encodePacket, type ViciPacket } from './packet.ts';
export type { InstalledPolicy, PolicyFilter } from './policy.ts';
export type { LoadedPool, PoolLease } from './pool.ts';
export type { CompleteListingOptions, CompleteSaListing, SaListing } from './sa-listing.ts';
export {
  type ChildSaSummary,
  type IkeSaSummary,
  SaSummaryReader,
  summarizeIkeSa,
} from './sa-summary.ts';
export { type PlainSection, type ViciElement, ViciSection } from './section.ts';
export { type Segment, SegmentSplitter } from './segment-splitter.ts';
export {
  type ControlOptions,
  type InitiateTarget,
  type ListSasOptions,
  type TerminateFilter,
  ViciClient,
} from './vici-client.ts';
export type { ViciOptions } from './vici-session.ts';
export type { ViciEventMessage, ViciGap, ViciSubscription } from './vici-subscription.ts';
export { ViciValue } from './vici-value.ts';
