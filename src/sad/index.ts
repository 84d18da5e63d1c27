/**
 * sad: the Security Association Database and policies as values, and the pure
 * functions from what is desired and what is actual to what to do.
 *
 *     desired + actual -> delta -> plan
 *
 * Invariants: docs/design/sad.md. No I/O, clock, timers or logging.
 */
export type { ActualPolicy, ActualSa, KeylessSa, ReplayState, SaCounters, SaUsage } from './actual.ts';
export type { Operation, SaMove } from './operation.ts';
export {
  type Direction,
  type DscpCopy,
  formatSpi,
  type IpAddress,
  type IpsecMode,
  type IpsecProtocol,
  type KeyedTransform,
  type Lifetime,
  type Mark,
  type ReqId,
  type SaId,
  type SaKey,
  type SecurityAssociation,
  type Spi,
  saKey,
  toReqId,
  toSpi,
  type UdpEncapsulation,
} from './security-association.ts';
export {
  type PolicyAction,
  type PolicyDirection,
  type PolicyId,
  type PolicyKey,
  type PolicyUser,
  type PriorityClass,
  policyKey,
  type SaTemplate,
  type SecurityPolicy,
} from './security-policy.ts';
export type { PortRange, TrafficSelector } from './selector.ts';
