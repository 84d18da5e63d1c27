/** A charon as its plugin introduces it; `id` is new with each start. */
export type CharonInstance = {
  readonly id: string;
  /** Since it started, at the time of asking; undefined when it does not tell. */
  readonly ageMs: bigint | undefined;
};

/** What a listing tells of where an entry comes from. */
export type Provenance = {
  /** The charon for which it was installed. */
  readonly charonInstanceId: string;
  /** Since its installation; undefined when the dataplane does not tell. */
  readonly ageMs: bigint | undefined;
};

/**
 * Why an entry that charon's tables lack may be deleted:
 *
 * * `own-tables`: they are the tables of the charon that installed it
 * * `older-charon`: the charon that installed it is no more
 *
 * `undefined` is no evidence: another charon installed it while this one was running, so two of
 * them share an owner, and what the other one has is not ours to delete.
 */
export type Evidence = 'own-tables' | 'older-charon';

/** A dataplane that stood still may take what an earlier charon asked for while a later one runs already. */
const LATE_MS = 30_000n;

/**
 * Judges entries by the charon they come from. An instance is older when it is in `earlier`, or when
 * nothing of it was installed later than 30 s after the current one started; one that could not be told apart by
 * age counts as older, because charons come one after the other unless somebody made a mistake.
 *
 * @param current aged before `entries` were listed, so that no older entry can look younger
 * @param earlier instances known to have ended
 */
export function judgeProvenance(
  entries: Iterable<Provenance>,
  current: CharonInstance,
  earlier: ReadonlySet<string>,
): (charonInstanceId: string) => Evidence | undefined {
  const alive = new Set<string>();
  for (const { charonInstanceId, ageMs } of entries) {
    if (ageMs === undefined || current.ageMs === undefined || ageMs + LATE_MS >= current.ageMs) continue;
    alive.add(charonInstanceId);
  }
  return (charonInstanceId) => {
    if (charonInstanceId === current.id) return 'own-tables';
    return alive.has(charonInstanceId) && !earlier.has(charonInstanceId) ? undefined : 'older-charon';
  };
}
