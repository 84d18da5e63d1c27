/**
 * keyfeed: the agent's end of the protocol that charon's plugin speaks.
 *
 *     charon-plugin -- unix socket --> KeyfeedConnection --> agent's FeedHandler
 *
 * Invariants: docs/design/keyfeed.md. A request reaches the handler synchronously
 * from the socket's read; keys exist in SecretBytes only, everything they came in is
 * wiped; malformed input ends the connection and nothing else.
 */
export { decodeAgentMessage } from './decode-agent-message.ts';
export { decodePluginMessage } from './decode-plugin-message.ts';
export { encodeAgentMessage } from './encode-agent-message.ts';
export { encodePluginMessage } from './encode-plugin-message.ts';
export { type Frame, FrameSplitter } from './frame-splitter.ts';
export {
  type FeedHandler,
  type FeedSnapshot,
  KeyfeedConnection,
  type KeyfeedOptions,
} from './keyfeed-connection.ts';
export {
  type Acquire,
  type AddPolicy,
  type AddSa,
  type AgentHello,
  type AgentMessage,
  type DelPolicy,
  type DelSa,
  type Expire,
  type FeedChange,
  type FeedDscpCopy,
  type FeedError,
  type FeedLifetime,
  type FeedMark,
  type FeedMode,
  type FeedPolicy,
  type FeedPolicyDirection,
  type FeedPriorityClass,
  type FeedProtocol,
  type FeedRequest,
  type FeedSa,
  type FeedSaId,
  type FeedTrafficSelector,
  type FlushPolicies,
  type FlushSas,
  type GetSpi,
  type Hello,
  type Host,
  type HwOffload,
  type Mapping,
  type NotReady,
  type PluginMessage,
  type PolicyType,
  type PolicyUsage,
  type PolicyUsageEntry,
  type Probe,
  type Ready,
  type Result,
  type SaDirection,
  type SetupFailed,
  type SnapshotBegin,
  type SnapshotEnd,
  type UpdateSa,
  type Usage,
  type UsageEntry,
  wipeKeys,
} from './messages.ts';
export type { RequestResult } from './pending-requests.ts';
export { PROTOCOL_VERSION, type ResultCode } from './wire.ts';
