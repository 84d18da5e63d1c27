/**
 * sad: the Security Association Database and policies as values, and the pure
 * functions from what is desired and what is actual to what to do.
 *
 *     desired + actual -> delta -> plan
 *
 * Invariants: docs/design/sad.md. No I/O, clock, timers or logging.
 */
export { countAbsences, LISTINGS_FOR_ABSENCE, type Listing } from './absence.ts';
export type { ActualPolicy, ActualSa, KeylessSa, ReplayState, SaCounters, SaUsage } from './actual.ts';
export {
  allAlgorithms,
  type EncryptionAlgorithm,
  encryptionAlgorithm,
  type IntegrityAlgorithm,
  integrityAlgorithm,
} from './algorithms.ts';
export { type Changes, type Repair, type Restoration, repairOf } from './changes.ts';
export { diffPolicies, diffSas, type PolicyDelta, type SaDelta } from './delta.ts';
export { type CharonInstance, type Evidence, judgeProvenance, type Provenance } from './evidence.ts';
export {
  diffObserved,
  type ObservedDelta,
  type ObservedField,
  type ObservedSa,
  type ObservedSelector,
  observedKey,
} from './observed-sa.ts';
export { moveSa, type Operation, operationKeys, type SaMove } from './operation.ts';
export { type PlanOrder, plan } from './plan.ts';
export { policyDifferences } from './policy-equality.ts';
export { automaticPriority } from './policy-priority.ts';
export { PolicyTable } from './policy-table.ts';
export { type FingerprintOf, type SaField, saDifferences } from './sa-equality.ts';
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
  spiOfKey,
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
export { type PortRange, selectorKey, type TrafficSelector } from './selector.ts';
export { checkTransforms, formatAlgorithms, type TransformProblem } from './transform-check.ts';
