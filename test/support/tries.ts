/** LAGOPUS_TRIES: how many times as often as usual properties are tried, to look for what is rare. */
export const TRIES_FACTOR: number = Number(process.env.LAGOPUS_TRIES ?? 1);

/** How often fast-check is to try a property. */
export function tries(usual: number): { readonly numRuns: number } {
  return { numRuns: usual * TRIES_FACTOR };
}
