import {
  type ActualSa,
  diffObserved,
  LISTINGS_FOR_ABSENCE,
  type ObservedDelta,
  type ObservedSa,
  saKey,
} from '../sad/index.ts';
import type { DiffReport, PlanReport } from './reports.ts';

/** What there is to compare when nobody tells keys. */
export type Observed = {
  readonly sas: ReadonlyMap<string, ObservedSa>;
  /** Undefined: charon was not listed yet. */
  readonly isComplete: boolean | undefined;
  readonly actual: readonly ActualSa[];
  /** In how many complete listings of charon's in a row one is absent that the dataplane has. */
  readonly absences: (actual: ActualSa) => number;
};

const NOTES = {
  policies: 'policies are not compared: VICI does not tell those of CHILD_SAs',
  incomplete:
    "charon's last listing is not complete: an SA that it lacks is not counted as gone. Busy IKE_SAs may be " +
    'left out, and too large ones',
} as const;

/** An SA that no complete listing lacks may only not have been listed yet. */
function deltaOf({ sas, actual, absences }: Observed): ObservedDelta {
  const { unexpected, ...delta } = diffObserved(sas.values(), actual);
  return { ...delta, unexpected: unexpected.filter((listed) => absences(listed) > 0) };
}

function toReport({ missing, unexpected, different }: ObservedDelta, { isComplete }: Observed): DiffReport {
  const entries: DiffReport['entries'] = [
    ...missing.map(({ id }) => ({ kind: 'missing' as const, what: `SA ${saKey(id)}`, fields: [] })),
    ...unexpected.map(({ sa }) => ({ kind: 'unexpected' as const, what: `SA ${saKey(sa.id)}`, fields: [] })),
    ...different.map(({ sa, fields }) => ({
      kind: 'different' as const,
      what: `SA ${saKey(sa.id)}`,
      fields,
    })),
  ];
  return {
    isInSync: entries.length === 0,
    entries,
    notes: [NOTES.policies, ...(isComplete === true ? [] : [NOTES.incomplete])],
  };
}

/** charon's listing against the dataplane's, without keys. */
export function toObservedDiff(observed: Observed): DiffReport {
  return toReport(deltaOf(observed), observed);
}

/** The same, with what would be done if there were keys, and on what evidence. */
export function toObservedPlan(observed: Observed): PlanReport {
  const delta = deltaOf(observed);
  const { missing, unexpected, different } = delta;
  const isProven = (listed: ActualSa): boolean => observed.absences(listed) >= LISTINGS_FOR_ABSENCE;
  return {
    ...toReport(delta, observed),
    isSent: false,
    operations: [
      ...missing.map(({ id, source }) => ({
        operation: 'add-sa',
        what: `${saKey(id)} from ${source}, if its keys were known`,
      })),
      ...different.map(({ sa, fields }) => ({
        operation: 'update-sa or add-sa',
        what: `${saKey(sa.id)}: ${fields.join(', ')}, if its keys were known`,
      })),
      ...unexpected.filter(isProven).map(({ sa }) => ({
        operation: 'delete-sa',
        what: `${saKey(sa.id)}: absent from ${LISTINGS_FOR_ABSENCE} complete listings in a row`,
      })),
    ],
    rekeys: [],
    withheld: unexpected
      .filter((listed) => !isProven(listed))
      .map((listed) => ({
        what: saKey(listed.sa.id),
        reason:
          `would not be deleted yet: absent from ${observed.absences(listed)} complete listing, ` +
          `${LISTINGS_FOR_ABSENCE} in a row are needed`,
        nextTryInMs: null,
      })),
  };
}
