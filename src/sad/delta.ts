import type { ActualPolicy, ActualSa } from './actual.ts';
import { policyDifferences } from './policy-equality.ts';
import { type FingerprintOf, MOVABLE_FIELDS, type SaField, saDifferences } from './sa-equality.ts';
import { formatSpi, type SaId, type SaKey, type SecurityAssociation, saKey } from './security-association.ts';
import { type PolicyKey, policyKey, type SecurityPolicy } from './security-policy.ts';

/** Desired against actual SAs; every key is in at most one of the sets. */
export type SaDelta = {
  readonly missing: ReadonlyMap<SaKey, SecurityAssociation>;
  readonly unexpected: ReadonlyMap<SaKey, ActualSa>;
  /** Same id, but what differs cannot be changed in place. */
  readonly different: ReadonlyMap<
    SaKey,
    { readonly sa: SecurityAssociation; readonly actual: ActualSa; readonly fields: readonly SaField[] }
  >;
  /** The same SA with the same keys at other endpoints, by the desired key. */
  readonly moved: ReadonlyMap<
    SaKey,
    { readonly sa: SecurityAssociation; readonly from: SaId; readonly fields: readonly SaField[] }
  >;
};

export type PolicyDelta = {
  readonly missing: ReadonlyMap<PolicyKey, SecurityPolicy>;
  readonly unexpected: ReadonlyMap<PolicyKey, ActualPolicy>;
  readonly different: ReadonlyMap<
    PolicyKey,
    { readonly policy: SecurityPolicy; readonly fields: readonly string[] }
  >;
};

/** What `update-sa` keeps of an id: everything but the destination. */
function stationaryKey({ direction, protocol, spi, mark, ifId }: SaId): string {
  return `${direction} ${protocol} ${formatSpi(spi)} ${mark?.value}/${mark?.mask} ${ifId}`;
}

function isMovable(fields: readonly SaField[]): boolean {
  return fields.every((field) => MOVABLE_FIELDS.has(field));
}

export type DiffSasOptions = {
  readonly desired: ReadonlyMap<SaKey, SecurityAssociation>;
  readonly actual: Iterable<ActualSa>;
  readonly fingerprintOf: FingerprintOf;
  /** Left out on both sides: what changed since the listing was asked for. */
  readonly ignored?: ReadonlySet<string>;
};

/** Compares in time linear in the number of SAs. */
export function diffSas({ desired, actual, fingerprintOf, ignored }: DiffSasOptions): SaDelta {
  const missing = new Map<SaKey, SecurityAssociation>();
  const unexpected = new Map<SaKey, ActualSa>();
  const different = new Map<
    SaKey,
    { sa: SecurityAssociation; actual: ActualSa; fields: readonly SaField[] }
  >();
  const moved = new Map<SaKey, { sa: SecurityAssociation; from: SaId; fields: readonly SaField[] }>();
  const seen = new Set<SaKey>();

  for (const listed of actual) {
    const key = saKey(listed.sa.id);
    if (ignored?.has(key)) continue;
    seen.add(key);
    const sa = desired.get(key);
    if (sa === undefined) {
      unexpected.set(key, listed);
      continue;
    }
    const fields = saDifferences(sa, listed, fingerprintOf);
    if (fields.length === 0) continue;
    if (isMovable(fields)) moved.set(key, { sa, from: listed.sa.id, fields });
    else different.set(key, { sa, actual: listed, fields });
  }
  for (const [key, sa] of desired) {
    if (!seen.has(key) && !ignored?.has(key)) missing.set(key, sa);
  }
  if (missing.size > 0 && unexpected.size > 0) pairMoves(missing, unexpected, moved, fingerprintOf);
  return { missing, unexpected, different, moved };
}

/** An unexpected SA that is a missing one under its old destination is moved, not lost. */
function pairMoves(
  missing: Map<SaKey, SecurityAssociation>,
  unexpected: Map<SaKey, ActualSa>,
  moved: Map<SaKey, { sa: SecurityAssociation; from: SaId; fields: readonly SaField[] }>,
  fingerprintOf: FingerprintOf,
): void {
  const candidates = new Map<string, ActualSa>();
  for (const listed of unexpected.values()) candidates.set(stationaryKey(listed.sa.id), listed);
  for (const [key, sa] of [...missing]) {
    const listed = candidates.get(stationaryKey(sa.id));
    if (listed === undefined) continue;
    const fields = saDifferences(sa, listed, fingerprintOf);
    if (!isMovable(fields)) continue;
    candidates.delete(stationaryKey(sa.id));
    unexpected.delete(saKey(listed.sa.id));
    missing.delete(key);
    moved.set(key, { sa, from: listed.sa.id, fields });
  }
}

export type DiffPoliciesOptions = {
  readonly desired: Iterable<readonly [PolicyKey, SecurityPolicy]>;
  readonly actual: Iterable<ActualPolicy>;
  readonly ignored?: ReadonlySet<string>;
};

/** Compares in time linear in the number of policies. */
export function diffPolicies({ desired, actual, ignored }: DiffPoliciesOptions): PolicyDelta {
  const missing = new Map<PolicyKey, SecurityPolicy>();
  const unexpected = new Map<PolicyKey, ActualPolicy>();
  const different = new Map<PolicyKey, { policy: SecurityPolicy; fields: readonly string[] }>();

  for (const listed of actual) {
    const key = policyKey(listed.policy.id);
    if (!ignored?.has(key)) unexpected.set(key, listed);
  }
  for (const [key, policy] of desired) {
    if (ignored?.has(key)) continue;
    const present = unexpected.get(key);
    if (present === undefined) {
      missing.set(key, policy);
      continue;
    }
    unexpected.delete(key);
    const fields = policyDifferences(policy, present.policy);
    if (fields.length > 0) different.set(key, { policy, fields });
  }
  return { missing, unexpected, different };
}
