import Table from 'cli-table3';
import type { Row } from './row.ts';

const HEAD = ['name', 'unit', 'median', 'min', 'max', 'runs', 'peer', 'ratio', 'aim'];
const LEFT_ALIGNED = new Set(['name', 'unit', 'peer', 'aim']);

/** The table a person reads: one line per row, figures to three digits. */
export function formatTable(rows: readonly Row[]): string {
  const table = new Table({
    head: HEAD,
    colAligns: HEAD.map((column) => (LEFT_ALIGNED.has(column) ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(cells(row));
  return table.toString();
}

function cells({ name, unit, median, min, max, runs, peer, aim }: Row): string[] {
  return [
    name,
    unit,
    ...[median, min, max].map(formatFigure),
    String(runs),
    peer === undefined ? '' : `${peer.name} ${formatFigure(peer.median)}`,
    peer?.ratio === undefined ? '' : peer.ratio.toFixed(2),
    aim ?? '',
  ];
}

/** Three significant digits, without an exponent; whole numbers stay whole. */
export function formatFigure(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(size >= 1 ? 2 : 3);
}
