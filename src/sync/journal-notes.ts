import { type Operation, type SaKey, saKey } from '../sad/index.ts';
import { assertNever } from '../util/index.ts';
import type { Comparison } from './comparison.ts';
import type { DataplaneEvent, OperationResult } from './ports.ts';
import type { SaJournal } from './sa-journal.ts';

/** Notes the dataplane's answer to an operation: one of charon's requests, or of a repair. */
export function noteResult(
  journal: SaJournal,
  operation: Operation,
  result: OperationResult,
  origin: 'request' | 'repair',
): void {
  const refusal = result.kind === 'refused' ? `${result.code}: ${result.reason}` : undefined;
  switch (operation.kind) {
    case 'add-sa': {
      const key = saKey(operation.sa.id);
      if (refusal === undefined) journal.note(key, origin === 'request' ? 'installed' : 'restored');
      else if (origin === 'repair') journal.note(key, 'failed', refusal);
      else journal.end(key, 'refused', refusal);
      return;
    }
    case 'update-sa': {
      const { id, move } = operation;
      if (refusal === undefined) {
        const movedKey = saKey({ ...id, destination: move.destination });
        if (movedKey !== saKey(id)) journal.end(saKey(id), 'moved', `to ${movedKey}`);
        journal.note(movedKey, 'moved', `from ${saKey(id)} to source ${move.source}`);
      } else journal.note(saKey(id), 'failed', refusal);
      return;
    }
    case 'delete-sa': {
      const isGone = result.kind === 'ok' || result.code === 'not-found';
      if (isGone) journal.end(saKey(operation.id), 'deleted', `by a ${origin}`);
      else journal.note(saKey(operation.id), 'failed', refusal);
      return;
    }
    case 'put-policy':
    case 'delete-policy':
    case 'reserve-spi':
      return;
    default:
      assertNever(operation, 'operation');
  }
}

/** The SA an operation is about; undefined for the others. */
export function saKeyOf(operation: Operation): SaKey | undefined {
  if (operation.kind === 'add-sa') return saKey(operation.sa.id);
  return operation.kind === 'update-sa' || operation.kind === 'delete-sa' ? saKey(operation.id) : undefined;
}

export function noteUnanswered(journal: SaJournal, operation: Operation, reason: string): void {
  const key = saKeyOf(operation);
  if (key !== undefined) journal.note(key, 'unanswered', `${operation.kind}: ${reason}`);
}

export function noteReadBack(journal: SaJournal, operation: Operation, isInEffect: boolean): void {
  const key = saKeyOf(operation);
  if (key === undefined) return;
  journal.note(key, 'read-back', `${operation.kind} is ${isInEffect ? '' : 'not '}in effect`);
}

/** Notes what a comparison found, and forgets SAs that are neither charon's nor the dataplane's. */
export function noteComparison(
  journal: SaJournal,
  { sas }: Pick<Comparison, 'sas'>,
  desired: { readonly has: (key: SaKey) => boolean },
): void {
  for (const key of sas.missing.keys()) journal.note(key, 'missing');
  for (const [key, { fields }] of sas.different) journal.note(key, 'different', fields.join(', '));
  for (const key of sas.unexpected.keys()) journal.note(key, 'unexpected');
  journal.keepOnly({ has: (key) => desired.has(key) || sas.unexpected.has(key) }, 'left');
}

/** Notes what a snapshot of charon brought and what it no longer had. */
export function noteSnapshot(journal: SaJournal, desired: ReadonlyMap<SaKey, unknown>): void {
  for (const key of desired.keys()) if (!journal.isLiving(key)) journal.note(key, 'in-snapshot');
  journal.keepOnly(desired, 'left', "not in charon's snapshot");
}

/** Notes what the dataplane tells of an SA that is known. */
export function noteEvent(journal: SaJournal, event: DataplaneEvent): void {
  if (event.kind !== 'expire' && event.kind !== 'sequence-overflow') return;
  const key = saKey(event.id);
  if (!journal.isLiving(key)) return;
  if (event.kind === 'expire') journal.note(key, event.isHard ? 'hard-expired' : 'soft-expired');
  else journal.note(key, event.kind);
}
