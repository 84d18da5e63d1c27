import { Lab } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { cpuSeconds } from '../support/cpu-time.ts';
import { interleave } from '../support/interleave.ts';
import { makeRow, type Row } from '../support/row.ts';
import { PEER_NAME, type StartGateway, startLagopusGateway, startLibipsecGateway } from './gateway.ts';
import { measureTcp } from './iperf.ts';
import { connect, type Pair, startPair } from './pair.ts';

export type Throughput = {
  readonly megabitsPerSecond: number;
  readonly retransmits: number;
  readonly cpuSecondsPerGigabyte: number;
};

/** One TCP stream through one tunnel, the same implementation at both ends. */
export async function throughputRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  const rounds = isQuick ? 2 : 5;
  const seconds = isQuick ? 2 : 5;
  await using ownLab = await Lab.create();
  await using peerLab = await Lab.create();
  const own = await connectedPair(ownLab, startLagopusGateway);
  const peer = await connectedPair(peerLab, startLibipsecGateway);
  const measured = await interleave(
    rounds,
    (round) => {
      progress(`TCP through one tunnel, round ${round + 1} of ${rounds}`);
      return measureThroughput(own, seconds);
    },
    () => measureThroughput(peer, seconds),
  );
  const row = (what: string, unit: string, figure: (run: Throughput) => number, aim?: string): Row =>
    makeRow({
      name: `TCP through one tunnel: ${what}`,
      unit,
      aim,
      values: measured.a.map(figure),
      peer: { name: PEER_NAME, values: measured.b.map(figure) },
    });
  return [
    row('throughput', 'Mbit/s', (run) => run.megabitsPerSecond, 'ratio >= 2'),
    row('retransmits', 'segments', (run) => run.retransmits),
    row('CPU of both dataplanes', 'CPU s/GB', (run) => run.cpuSecondsPerGigabyte),
  ];
}

async function connectedPair(lab: Lab, start: StartGateway): Promise<Pair> {
  const pair = await startPair(lab, start, start);
  await connect(pair);
  return pair;
}

export async function measureThroughput({ left, right }: Pair, seconds: number): Promise<Throughput> {
  const dataplanes = [left.dataplanePid, right.dataplanePid];
  const cpuBefore = await cpuSeconds(dataplanes);
  const tcp = await measureTcp({ from: left, to: right, seconds, dir: left.site.dir });
  const cpuUsed = (await cpuSeconds(dataplanes)) - cpuBefore;
  return { ...tcp, cpuSecondsPerGigabyte: cpuUsed / (tcp.bytes / 1e9) };
}
