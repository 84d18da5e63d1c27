/** A listing of somebody who may leave things out. */
export type Listing = {
  /** When it was asked for. */
  readonly askedMs: number;
  /** Nothing was left out. */
  readonly isComplete: boolean;
  readonly has: (key: string) => boolean;
};

/** So many complete listings in a row have to lack what is gone. */
export const LISTINGS_FOR_ABSENCE = 2;

/**
 * In how many complete listings in a row, the last one included, something is absent that has
 * existed since `sinceMs`. One that was asked for earlier proves nothing, nor does absence from an
 * incomplete one; presence in any counts.
 *
 * @param listings the newest last
 */
export function countAbsences(listings: readonly Listing[], key: string, sinceMs: number): number {
  let count = 0;
  for (const listing of listings.toReversed()) {
    if (listing.askedMs <= sinceMs || listing.has(key)) break;
    if (listing.isComplete) count += 1;
  }
  return count;
}
