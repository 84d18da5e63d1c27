/**
 * The whole path: what strongSwan negotiates, installed in and carried by the dataplane, against
 * strongSwan's own user-space dataplane. What exactly is measured: docs/bench.md.
 */
import { installLatencyRows } from './path/install-latency.ts';
import { rekeyLossRows } from './path/rekey-loss.ts';
import { setupRateRows } from './path/setup-rate.ts';
import { throughputRows } from './path/throughput.ts';
import type { Benchmark } from './support/benchmark.ts';

export const benchmark: Benchmark = async (context) => [
  ...(await installLatencyRows(context)),
  ...(await setupRateRows(context)),
  ...(await rekeyLossRows(context)),
  ...(await throughputRows(context)),
];
