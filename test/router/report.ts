import type { Verdict } from './verdict.ts';

export type ReportLine = { readonly name: string; readonly verdict: Verdict | undefined };

/** A table that is Markdown, too; without a verdict a scenario was not run. */
export function formatReport(lines: readonly ReportLine[]): string {
  const cells = lines.map(({ name, verdict }) => [name, wordOf(verdict), verdict?.figures ?? '']);
  const rows = [['what', 'verdict', 'figures'], ...cells].map((row) => row.map(cellText));
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const [head, ...body] = rows.map((row) =>
    rowText(row.map((cell, index) => cell.padEnd(widths[index] ?? 0))),
  );
  return [head, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body].join('\n');
}

export function allHeld(lines: readonly ReportLine[]): boolean {
  return lines.every(({ verdict }) => verdict?.held === true);
}

function wordOf(verdict: Verdict | undefined): string {
  if (verdict === undefined) return 'not run';
  return verdict.held ? 'held' : 'FAILED';
}

function cellText(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '/');
}

function rowText(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`.trimEnd();
}
