/**
 * The sync engine with many SAs: cold starts, single changes, audits and restarts, of the product's own
 * processes against a charon of fakes; packets lost per rekey with real ones. docs/bench.md says what
 * exactly is measured.
 */
import { lostPerRekeyRow } from './path/rekey-loss.ts';
import type { Benchmark } from './support/benchmark.ts';
import { coldSyncRows } from './sync/cold-sync.ts';
import { convergeRows } from './sync/converge.ts';
import { steadyRows } from './sync/steady.ts';

export const benchmark: Benchmark = async (context) => [
  ...(await coldSyncRows(context)),
  ...(await steadyRows(context)),
  ...(await convergeRows(context)),
  await lostPerRekeyRow(context),
];
