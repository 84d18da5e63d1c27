import { join } from 'node:path';
import { Lab } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';
import { median, quantile } from '../support/statistics.ts';
import { FeedTap } from './feed-tap.ts';
import { startLibipsecGateway, startTappedGateway } from './gateway.ts';
import { SetupLoad } from './setup-load.ts';

const TUNNELS = 100;

/** One run's quantiles, in ms. */
type Latency = { readonly p50: number; readonly p99: number };

/** From ADD_SA to its RESULT, at the plugin's edge. */
export async function installLatencyRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  const rounds = isQuick ? 2 : 7;
  await using lab = await Lab.create();
  const listenPath = join(lab.dir, 'tap.sock');
  await using tap = await FeedTap.start({ listenPath, pluginPath: join(lab.dir, 'left', 'charon.lagopus') });
  const initiator = startTappedGateway(listenPath);
  await using load = await SetupLoad.start(lab, { initiator, responder: startLibipsecGateway }, TUNNELS);
  const idle: Latency[] = [];
  const parallel: Latency[] = [];
  progress(`install latency, ${rounds} rounds`);
  for (let round = -1; round < rounds; round += 1) {
    await load.setUpInTurn('first');
    await load.setUpInTurn('second');
    const idleLatency = await takeLatency(tap);
    await load.tearDownAll();
    await load.setUpAll('first');
    const parallelLatency = await takeLatency(tap);
    await load.tearDownAll();
    // The first one warms up.
    if (round < 0) continue;
    idle.push(idleLatency);
    parallel.push(parallelLatency);
  }
  const row = (name: string, values: readonly number[], aim?: string): Row =>
    makeRow({ name: `install latency, ${name}`, unit: 'ms', aim, values });
  return [
    row(
      'idle, p50',
      idle.map(({ p50 }) => p50),
      '< 0.5',
    ),
    row(
      'idle, p99',
      idle.map(({ p99 }) => p99),
      '< 3',
    ),
    row(
      `${TUNNELS} parallel setups, p50`,
      parallel.map(({ p50 }) => p50),
    ),
    row(
      `${TUNNELS} parallel setups, p99`,
      parallel.map(({ p99 }) => p99),
    ),
  ];
}

/** @throws Error when no SA was installed */
async function takeLatency(tap: FeedTap): Promise<Latency> {
  const answers = await tap.take();
  const latencies = answers
    .filter(({ kind, isOk }) => kind === 'add-sa' && isOk)
    .map(({ latencyMs }) => latencyMs);
  if (latencies.length === 0) throw new Error('no SA was installed');
  return { p50: median(latencies), p99: quantile(latencies, 0.99) };
}
