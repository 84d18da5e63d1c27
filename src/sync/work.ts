import {
  checkTransforms,
  type Operation,
  operationKeys,
  type PolicyKey,
  type PolicyUser,
  policyDifferences,
  policyKey,
  type SaId,
  type SecurityPolicy,
  saKey,
} from '../sad/index.ts';
import { assertNever } from '../util/index.ts';
import type { DesiredState } from './desired-state.ts';
import type { OperationResult, RefusalCode } from './ports.ts';
import type { SyncAnswer, SyncChange, SyncRequest } from './requests.ts';

/** What a request comes down to: an operation, or an answer without one. */
export type Prepared =
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'answer'; readonly answer: SyncAnswer };

export type Work = SyncRequest | SyncChange;

const OK: SyncAnswer = { kind: 'ok' };

function operationFor(operation: Operation): Prepared {
  return { kind: 'operation', operation };
}

function isSamePolicy(a: SecurityPolicy | undefined, b: SecurityPolicy | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return policyDifferences(a, b).length === 0;
}

/** Which entries the work is about, so that two on the same one are never in one batch. */
export function workKeys(work: Work): readonly string[] {
  switch (work.kind) {
    case 'reserve-spi':
    case 'flush-sas':
    case 'flush-policies':
      return [];
    case 'add-sa':
      return [saKey(work.sa.id)];
    case 'update-sa':
      return operationKeys(work);
    case 'delete-sa':
      return [saKey(work.id)];
    case 'add-policy':
    case 'delete-policy':
      return [policyKey(work.user.id)];
    default:
      return assertNever(work, 'work');
  }
}

export type PrepareOptions = {
  /** Whether charon waits for the answer. What it does not wait for it has already, whatever comes. */
  readonly isAwaited: boolean;
  /** The dataplane is known to hold what is desired for this policy. */
  readonly isSettled: (key: PolicyKey) => boolean;
};

/**
 * Turns work into an operation. What charon has done enters or leaves desired here; what it
 * asks for enters only with the dataplane's yes, in `complete`.
 */
export function prepare(work: Work, desired: DesiredState, options: PrepareOptions): Prepared {
  switch (work.kind) {
    case 'reserve-spi':
      return operationFor(work);
    case 'add-sa': {
      const problem = checkTransforms(work.sa);
      if (problem === undefined) return operationFor({ kind: 'add-sa', sa: work.sa });
      desired.discard(work.sa);
      return { kind: 'answer', answer: { kind: 'refused', ...problem } };
    }
    case 'update-sa':
      if (!options.isAwaited) desired.moveSa(work.id, work.move);
      else if (!desired.sas.has(saKey(work.id))) return noSuchSa(work.id);
      return operationFor(work);
    case 'delete-sa':
      desired.deleteSa(saKey(work.id));
      return operationFor({ kind: 'delete-sa', id: work.id });
    case 'add-policy':
      return prepareAddPolicy(work.user, desired, options);
    case 'delete-policy':
      return prepareDeletePolicy(work.user, desired, options);
    case 'flush-sas':
      desired.clearSas();
      return { kind: 'answer', answer: OK };
    case 'flush-policies':
      desired.policies.clear();
      return { kind: 'answer', answer: OK };
    default:
      return assertNever(work, 'work');
  }
}

function noSuchSa(id: SaId): Prepared {
  return {
    kind: 'answer',
    answer: { kind: 'refused', code: 'not-found', reason: `there is no SA ${saKey(id)}` },
  };
}

function prepareAddPolicy(
  user: PolicyUser,
  desired: DesiredState,
  { isAwaited, isSettled }: PrepareOptions,
): Prepared {
  const key = policyKey(user.id);
  const policy = desired.policies.effectiveWith(user);
  const isThere = isSamePolicy(policy, desired.policies.effective(key)) && isSettled(key);
  const isAnswered = policy === undefined || isThere;
  if (isAnswered || !isAwaited) desired.policies.add(user);
  return isAnswered ? { kind: 'answer', answer: OK } : operationFor({ kind: 'put-policy', policy });
}

function prepareDeletePolicy(
  user: PolicyUser,
  desired: DesiredState,
  { isSettled }: PrepareOptions,
): Prepared {
  const key = policyKey(user.id);
  const before = desired.policies.effective(key);
  desired.policies.remove(user);
  const after = desired.policies.effective(key);
  if (isSamePolicy(before, after) && isSettled(key)) return { kind: 'answer', answer: OK };
  if (after !== undefined) return operationFor({ kind: 'put-policy', policy: after });
  return user.id.direction === 'forward'
    ? { kind: 'answer', answer: OK }
    : operationFor({ kind: 'delete-policy', id: user.id });
}

/** Whether it may work when charon tries again, with other SPIs. */
function isPassing(code: RefusalCode): boolean {
  return code === 'temporary' || code === 'capacity' || code === 'internal' || code === 'spi-collision';
}

/** Whether an operation left the dataplane as it was asked to. */
export function isEffective(operation: Operation, result: OperationResult): boolean {
  if (result.kind === 'ok') return true;
  const isDelete = operation.kind === 'delete-sa' || operation.kind === 'delete-policy';
  return isDelete && result.code === 'not-found';
}

/** Takes what charon asked for and the dataplane accepted into desired, and says what charon hears. */
export function complete(
  work: Work,
  result: OperationResult,
  desired: DesiredState,
  { isAwaited }: Pick<PrepareOptions, 'isAwaited'>,
): SyncAnswer {
  if (result.kind === 'refused') {
    if (work.kind === 'add-sa') desired.discard(work.sa);
    return { ...result, kind: isPassing(result.code) ? 'try-again' : 'refused' };
  }
  if (isAwaited) accept(work, desired);
  return { kind: 'ok', spi: result.spi };
}

/** Takes what is in effect in the dataplane into desired. */
export function accept(work: Work, desired: DesiredState): void {
  if (work.kind === 'add-sa') desired.setSa(work.sa);
  if (work.kind === 'update-sa') desired.moveSa(work.id, work.move);
  if (work.kind === 'add-policy') desired.policies.add(work.user);
}
