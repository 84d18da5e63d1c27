/**
 * vici: a client of strongSwan's control interface.
 *
 *     charon <-- commands, one at a time --> ViciClient --> agent
 *            --- events, own connection ---> ViciSubscription
 *
 * Invariants: docs/design/vici.md. The socket is always read; every queue is bounded
 * and says what it lost; malformed input ends the connection and nothing else; no
 * command asks for a log that holds keys.
 */
export type {
  ChildSa,
  ChildSaHalf,
  ChildState,
  InstalledChildSa,
  ViciAlgorithm,
  ViciMark,
} from './child-sa.ts';
export type { ControlOutcome, MatchOutcome, SaFilter } from './control.ts';
export type { DaemonStats, DaemonVersion } from './daemon-info.ts';
export type { CallOptions } from './deadline.ts';
export { decodeMessage } from './decode-message.ts';
export { ElementCursor, type ElementKind } from './element-cursor.ts';
export { encodeMessage, type ViciArguments, type ViciScalar } from './encode-message.ts';
export type { ViciEvent } from './events.ts';
export type { IkePeer, IkeSa, IkeState } from './ike-sa.ts';
export { decodePacket, encodePacket, type ViciPacket } from './packet.ts';
export { type PlainSection, type ViciElement, ViciSection } from './section.ts';
export { type Segment, SegmentSplitter } from './segment-splitter.ts';
export {
  type ControlOptions,
  type ListSasOptions,
  type LoadedConnection,
  type SaListing,
  ViciClient,
} from './vici-client.ts';
export type { ViciOptions } from './vici-session.ts';
export type { ViciSubscription } from './vici-subscription.ts';
