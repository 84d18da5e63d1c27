import { type Row, rowName } from './row.ts';

/** The factors of a row with its value of each. */
function valuesOf({ algorithm, mode, outer, inner, encapsulation, esn }: Row): readonly string[] {
  return [
    `algorithm ${algorithm.protocol} ${algorithm.proposal}`,
    `protocol ${algorithm.protocol}`,
    `mode ${mode}`,
    `outer ${outer}`,
    `inner ${inner}`,
    `encapsulation ${encapsulation}`,
    `esn ${esn}`,
  ];
}

/** Every pair of values of two factors that a row has. */
export function pairsOf(row: Row): readonly string[] {
  const values = valuesOf(row);
  return values.flatMap((value, index) => values.slice(index + 1).map((other) => `${value}, ${other}`));
}

/**
 * A pairwise cover: rows in which every pair of values appears that appears in `rows`, far fewer than
 * those. Greedy and without chance, so the same rows give the same cover: takes the row that adds the most
 * pairs, of equal ones the first in an order that spreads the factors.
 */
export function pairwiseCover(rows: readonly Row[]): readonly Row[] {
  const open = new Set(rows.flatMap(pairsOf));
  let candidates = spread(rows).map((row) => ({ row, pairs: pairsOf(row) }));
  const cover: Row[] = [];
  while (open.size > 0) {
    let best: { readonly row: Row; readonly pairs: readonly string[] } | undefined;
    let bestGain = 0;
    for (const candidate of candidates) {
      const gain = candidate.pairs.filter((pair) => open.has(pair)).length;
      if (gain > bestGain) [best, bestGain] = [candidate, gain];
    }
    if (best === undefined) break;
    for (const pair of best.pairs) open.delete(pair);
    cover.push(best.row);
    candidates = candidates.filter(({ pairs }) => pairs.some((pair) => open.has(pair)));
  }
  const order = new Map(rows.map((row, index) => [rowName(row), index]));
  const position = (row: Row): number => order.get(rowName(row)) ?? 0;
  return cover.sort((a, b) => position(a) - position(b));
}

/** An order in which neighbours differ in most factors, the same each time. */
function spread(rows: readonly Row[]): readonly Row[] {
  const hash = (row: Row): number => {
    let value = 0;
    for (const character of rowName(row)) value = (Math.imul(value, 31) + character.charCodeAt(0)) >>> 0;
    return Math.imul(value, 2_654_435_761) >>> 0;
  };
  return rows
    .map((row) => ({ row, key: hash(row) }))
    .sort((a, b) => a.key - b.key)
    .map(({ row }) => row);
}
