/**
 * npm run conformance [-- --full] [--peer NAME]... [--only PATTERN] [--minutes N] [--open]: runs the
 * rows (a pairwise cover of them unless --full), tells what failed, and with --full writes
 * docs/conformance.md from the last outcome of every cell. Status 1: a cell failed.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { command, inRepository, ROOT } from '../support/index.ts';
import { pairwiseCover } from './cover.ts';
import { PEER_NAMES, type PeerName, whyImpossible } from './impossible.ts';
import { conformancePage, countKinds } from './page.ts';
import { Results } from './results.ts';
import { allRows, type Row, rowName } from './row.ts';
import { type CellRun, runRows } from './runner.ts';
import { peerNames } from './versions.ts';

const PAGE = inRepository('docs', 'conformance.md');
const PROGRESS_EVERY = 50;

const { values } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    /** Only with these; all three unless given. */
    peer: { type: 'string', multiple: true, default: [...PEER_NAMES] },
    /** Only rows whose name matches. */
    only: { type: 'string', default: '' },
    /** No row is begun after so long. */
    minutes: { type: 'string', default: '60' },
    /** With --full: only those that failed when they were run last, or were not run. */
    open: { type: 'boolean', default: false },
  },
});

const say = (text: string): void => void process.stderr.write(`conformance: ${text}\n`);

async function headCommit(): Promise<string> {
  const { stdout } = await command(['git', '-C', ROOT, 'describe', '--always', '--abbrev=12', '--exclude=*']);
  return stdout.trim();
}

function rowsFor(peer: PeerName, isSettled: (row: Row) => boolean): readonly Row[] {
  const possible = allRows().filter((row) => whyImpossible(row, peer) === undefined);
  const pattern = new RegExp(values.only);
  const chosen = values.full ? possible.filter((row) => !isSettled(row)) : pairwiseCover(possible);
  return chosen.filter((row) => pattern.test(rowName(row)));
}

async function run(peer: PeerName, results: Results, commit: string): Promise<readonly CellRun[]> {
  const rows = rowsFor(peer, (row) => {
    const last = results.find(peer, rowName(row));
    return values.open && last !== undefined && last.outcome.kind !== 'failed';
  });
  say(`${peer}: ${rows.length} rows`);
  const cells: CellRun[] = [];
  const onCell = async (cell: CellRun): Promise<void> => {
    cells.push(cell);
    results.add(cell, commit);
    if (cell.outcome.kind === 'failed') say(`${peer}: ${rowName(cell.row)}: ${cell.outcome.reason}`);
    if (cells.length % PROGRESS_EVERY === 0) {
      say(`${peer}: ${cells.length} of ${rows.length}`);
      await results.save();
    }
  };
  const signal = AbortSignal.timeout(Number(values.minutes) * 60_000);
  await runRows({ peer, rows, onCell, signal });
  return cells;
}

const [results, commit] = await Promise.all([Results.load(), headCommit()]);
const peers = PEER_NAMES.filter((peer) => values.peer.includes(peer));
const startedMs = performance.now();
const runs = await Promise.all(peers.map((peer) => run(peer, results, commit)));
await results.save();
for (const [index, cells] of runs.entries()) {
  const counts = countKinds(cells.map(({ outcome }) => outcome));
  say(`${peers[index]}: ${counts.passed} passed, ${counts.refused} refused, ${counts.failed} failed`);
}
say(`done in ${Math.round((performance.now() - startedMs) / 1_000)} s`);
if (values.full) {
  await writeFile(PAGE, conformancePage(results, await peerNames()));
  say(`written: ${PAGE}`);
}
process.exitCode = runs.flat().some(({ outcome }) => outcome.kind === 'failed') ? 1 : 0;
