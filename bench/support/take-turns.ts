/**
 * Measures several variants in turn, `rounds` times each, and has another one go first in each round
 * (abc bca cab ...): what drifts on the machine meanwhile meets all alike.
 *
 * @returns a list per variant, in the order of the variants.
 */
export async function takeTurns<T>(
  rounds: number,
  variants: readonly ((round: number) => Promise<T>)[],
): Promise<readonly (readonly T[])[]> {
  const measured: T[][] = variants.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < variants.length; turn += 1) {
      const index = (round + turn) % variants.length;
      const value = await variants[index]?.(round);
      if (value !== undefined) measured[index]?.push(value);
    }
  }
  return measured;
}
