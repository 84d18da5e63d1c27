import type { ReplayState } from './actual.ts';
import type { PolicyDelta, SaDelta } from './delta.ts';
import type { SaId, SecurityAssociation } from './security-association.ts';
import type { PolicyId, SecurityPolicy } from './security-policy.ts';

/** How an SA that is not in the dataplane gets there. */
export type Restoration =
  | { readonly kind: 'add'; readonly replayState: ReplayState | undefined }
  /** Its key may have been used: only a new one will do. */
  | { readonly kind: 'rekey' };

export type SaToAdd = {
  readonly sa: SecurityAssociation;
  readonly replayState: ReplayState | undefined;
};

/** What makes the dataplane equal, in no order; `plan` orders it. */
export type Changes = {
  readonly addSas: readonly SaToAdd[];
  /** Deleted and added again. */
  readonly replaceSas: readonly SaToAdd[];
  readonly moveSas: readonly { readonly sa: SecurityAssociation; readonly from: SaId }[];
  readonly deleteSas: readonly SaId[];
  readonly putPolicies: readonly SecurityPolicy[];
  readonly deletePolicies: readonly PolicyId[];
};

/** `changes`, and the SAs that only a rekey brings back. */
export type Repair = { readonly changes: Changes; readonly rekey: readonly SaId[] };

/**
 * Turns a delta into changes. An SA that differs is replaced when it could also be added
 * (its key is then not in use, or its state is given); otherwise it goes only if its key
 * is another one, and a rekey brings the right one.
 */
export function repairOf(
  sas: SaDelta,
  policies: PolicyDelta,
  restore: (sa: SecurityAssociation) => Restoration,
): Repair {
  const addSas: SaToAdd[] = [];
  const replaceSas: SaToAdd[] = [];
  const deleteSas: SaId[] = [];
  const rekey: SaId[] = [];
  for (const sa of sas.missing.values()) {
    const restoration = restore(sa);
    if (restoration.kind === 'add') addSas.push({ sa, replayState: restoration.replayState });
    else rekey.push(sa.id);
  }
  for (const { sa, fields } of sas.different.values()) {
    const restoration = restore(sa);
    if (restoration.kind === 'add') {
      replaceSas.push({ sa, replayState: restoration.replayState });
      continue;
    }
    rekey.push(sa.id);
    if (fields.includes('key')) deleteSas.push(sa.id);
  }
  for (const { sa } of sas.unexpected.values()) deleteSas.push(sa.id);
  return {
    changes: {
      addSas,
      replaceSas,
      moveSas: [...sas.moved.values()],
      deleteSas,
      putPolicies: [
        ...policies.missing.values(),
        ...[...policies.different.values()].map(({ policy }) => policy),
      ],
      deletePolicies: [...policies.unexpected.values()].map(({ policy }) => policy.id),
    },
    rekey,
  };
}
