import { Lab } from '../support/index.ts';
import { type Bench, startBench } from './bench.ts';
import { runCell } from './cell.ts';
import { type PeerName, whyImpossible } from './impossible.ts';
import type { Outcome } from './outcome.ts';
import type { Row } from './row.ts';

/** A cell that has been run. */
export type CellRun = { readonly peer: PeerName; readonly row: Row; readonly outcome: Outcome };

export type RunOptions = {
  readonly peer: PeerName;
  readonly rows: readonly Row[];
  readonly onCell: (run: CellRun) => void | Promise<void>;
  /** No row is begun after it. */
  readonly signal?: AbortSignal;
};

/** How often a bench that broke is set up again. */
const MAX_BENCHES = 4;

/** Runs rows one after another with one peer, impossible ones left out. */
export async function runRows({ peer, rows, onCell, signal }: RunOptions): Promise<void> {
  let remaining: readonly Row[] = rows.filter((row) => whyImpossible(row, peer) === undefined);
  let lastError: unknown;
  for (let benches = 0; benches < MAX_BENCHES && remaining.length > 0; benches += 1) {
    try {
      await using lab = await Lab.create();
      const bench = await startBench(lab, peer, remaining);
      remaining = await runOn(bench, { peer, rows: remaining, onCell, ...(signal && { signal }) });
    } catch (error) {
      // A machine that is too busy starts nothing in time.
      lastError = error;
    }
    if (signal?.aborted === true) return;
  }
  if (remaining.length > 0) throw new Error(`no bench with ${peer} stays up`, { cause: lastError });
}

/** Returns what is left when the bench broke or the time was over. */
async function runOn(bench: Bench, { peer, rows, onCell, signal }: RunOptions): Promise<readonly Row[]> {
  for (const [index, row] of rows.entries()) {
    if (signal?.aborted === true) return rows.slice(index);
    try {
      await onCell({ peer, row, outcome: await runCell(bench, row) });
    } catch (error) {
      const reason = `the bench broke: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`;
      await onCell({ peer, row, outcome: { kind: 'failed', reason } });
      return rows.slice(index + 1);
    }
  }
  return [];
}
