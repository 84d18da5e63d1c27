import type { SyncDiff } from '../sync/index.ts';
import type { DiffEntry, DiffReport } from './reports.ts';

type Side = SyncDiff['sas'] | SyncDiff['policies'];

function toEntries(what: string, side: Side): DiffEntry[] {
  return [
    ...side.missing.map((key): DiffEntry => ({ kind: 'missing', what: `${what} ${key}`, fields: [] })),
    ...side.unexpected.map((key): DiffEntry => ({ kind: 'unexpected', what: `${what} ${key}`, fields: [] })),
    ...side.different.map(
      ({ key, fields }): DiffEntry => ({ kind: 'different', what: `${what} ${key}`, fields }),
    ),
  ];
}

export function toDiffReport(diff: SyncDiff): DiffReport {
  const entries = [...toEntries('SA', diff.sas), ...toEntries('policy', diff.policies)];
  return { isInSync: entries.length === 0, entries };
}
