/**
 * The driver of a Lagopus router: from add_sa to its answer, for SAs that have to show and SAs that have to
 * work, and packets lost per rekey. vsw is FakeLagopus, with the delays seen on a real one; docs/bench.md
 * says what exactly is measured.
 */
import { installRows } from './lagopus/install-latency.ts';
import { rekeyLossRow } from './lagopus/rekey-loss.ts';
import type { Benchmark } from './support/benchmark.ts';

export const benchmark: Benchmark = async (context) => [
  ...(await installRows(context)),
  await rekeyLossRow(context),
];
