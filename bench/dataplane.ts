/**
 * The packets' side alone: what one tunnel carries, what a packet costs, how long it takes; against
 * kernel-libipsec and against nothing at all. What exactly is measured: docs/bench.md.
 */
import { accountRows } from './dataplane/account.ts';
import { manySaRows } from './dataplane/many-sas.ts';
import { spdLookupRows } from './dataplane/spd-lookup.ts';
import { tunnelRows } from './dataplane/tunnel-rows.ts';
import type { Benchmark } from './support/benchmark.ts';

export const benchmark: Benchmark = async (context) => [
  ...(await tunnelRows(context)),
  ...(await accountRows(context)),
  ...(await manySaRows(context)),
  ...spdLookupRows(context),
];
