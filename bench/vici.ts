/**
 * The VICI client: listing SAs over a socket against strongSwan's own clients, and decoding alone.
 * What exactly is measured: docs/bench.md.
 */
import type { Benchmark } from './support/benchmark.ts';
import { decodeRows } from './vici/decode.ts';
import { listingRows } from './vici/listing.ts';

export const benchmark: Benchmark = async (context) => [
  ...decodeRows(context),
  ...(await listingRows(context)),
];
