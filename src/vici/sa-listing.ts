import type { ChildSa } from './child-sa.ts';
import type { SaFilter } from './control.ts';
import type { CallOptions } from './deadline.ts';
import type { IkeSa } from './ike-sa.ts';

/** IKE_SAs by unique id. Absence from it is no proof, unless it is complete. */
export type SaListing = {
  readonly ikeSas: ReadonlyMap<number, IkeSa>;
  /** As many as charon counted. charon drops an IKE_SA whose message would be too large. */
  readonly isComplete: boolean;
};

export type CompleteSaListing = SaListing & {
  /** charon's own count of IKE_SAs: the larger of those before and after. */
  readonly total: number;
  /** IKE_SAs whose event charon dropped: put together from single CHILD_SAs. */
  readonly recovered: ReadonlySet<number>;
  /** Those of them that may have more CHILD_SAs. While there is one, the listing is not complete. */
  readonly inDoubt: ReadonlySet<number>;
};

export type CompleteListingOptions = CallOptions & {
  /** Leave out IKE_SAs that a worker holds, rather than wait for it: then it is hardly ever complete. */
  readonly noblock?: boolean | undefined;
  /** Unique ids of CHILD_SAs that may exist, from events or an earlier listing: they are asked for first. */
  readonly knownChildIds?: Iterable<number> | undefined;
  /** No CHILD_SA has a higher unique id, as far as the caller knows. It takes the doubt away. */
  readonly highestChildId?: number | undefined;
};

/** What a complete listing asks charon. */
export type ListingSource = {
  readonly countIkeSas: () => Promise<number>;
  readonly listSas: (filter: SaFilter) => AsyncIterable<IkeSa>;
};

/** Unique ids are counted up from 1: no CHILD_SA has this one. */
const NO_CHILD_ID = 0x7fffffff;
/** After so many ids in a row that nobody has, there are hardly more. */
const MISSES_LIMIT = 1_000;

/**
 * Lists all IKE_SAs and compares with charon's count. When some are missing, a second
 * listing tells which: filtered by a CHILD_SA that does not exist, it has every IKE_SA
 * and is never too large. Their CHILD_SAs are then asked for one by one, by ike-id and
 * child-id: there is no way to learn the ids, so all are tried that nobody else has.
 */
export async function listCompletely(
  source: ListingSource,
  options: Pick<CompleteListingOptions, 'knownChildIds' | 'highestChildId'> = {},
): Promise<CompleteSaListing> {
  const before = await source.countIkeSas();
  const ikeSas = new Map<number, IkeSa>();
  for await (const ike of source.listSas({})) ikeSas.set(ike.uniqueId, ike);
  const after = await source.countIkeSas();
  const total = Math.max(before, after);
  const recovered = new Set<number>();
  const inDoubt = new Set<number>();
  if (ikeSas.size < total) {
    const missing: IkeSa[] = [];
    for await (const ike of source.listSas({ childId: NO_CHILD_ID })) {
      if (!ikeSas.has(ike.uniqueId)) missing.push(ike);
    }
    for (const ike of missing) {
      const { children, isCertain } = await findChildren(source, ike, ikeSas, options);
      ikeSas.set(ike.uniqueId, { ...ike, children });
      recovered.add(ike.uniqueId);
      if (!isCertain) inDoubt.add(ike.uniqueId);
    }
  }
  return { ikeSas, total, recovered, inDoubt, isComplete: ikeSas.size >= total && inDoubt.size === 0 };
}

async function findChildren(
  source: ListingSource,
  ike: IkeSa,
  others: ReadonlyMap<number, IkeSa>,
  { knownChildIds = [], highestChildId }: Pick<CompleteListingOptions, 'knownChildIds' | 'highestChildId'>,
): Promise<{ readonly children: ReadonlyMap<number, ChildSa>; readonly isCertain: boolean }> {
  const asked = new Set<number>();
  for (const { children } of others.values()) for (const id of children.keys()) asked.add(id);
  const children = new Map<number, ChildSa>();
  const ask = async (childId: number): Promise<boolean> => {
    asked.add(childId);
    for await (const answer of source.listSas({ ikeId: ike.uniqueId, childId })) {
      for (const child of answer.children.values()) children.set(child.uniqueId, child);
    }
    return children.has(childId);
  };
  for (const id of knownChildIds) if (!asked.has(id)) await ask(id);
  const highestSeen = Math.max(0, ...[...asked].filter((id) => id < NO_CHILD_ID));
  let misses = 0;
  for (let id = 1; ; id += 1) {
    if (highestChildId === undefined ? id > highestSeen && misses >= MISSES_LIMIT : id > highestChildId)
      break;
    if (asked.has(id)) continue;
    misses = (await ask(id)) ? 0 : misses + 1;
  }
  return { children, isCertain: highestChildId !== undefined };
}
