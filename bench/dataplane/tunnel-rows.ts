import { Lab } from '../../test/support/index.ts';
import { PEER_NAME, startLagopusGateway, startLibipsecGateway } from '../path/gateway.ts';
import { measureTcp } from '../path/iperf.ts';
import { type Pair, startPair } from '../path/pair.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';
import { takeTurns } from '../support/take-turns.ts';
import { type Carrier, clearOf, SUITES, type Suite, tunnelOf } from './carrier.ts';
import { type Latency, measureLatency } from './latency.ts';
import { measurePacketRate, type PacketRate } from './packet-rate.ts';

const PACKET_BYTES = [64, 512, 1400] as const;

/** One carrier's figures of one round. */
type Figures = {
  readonly megabitsPerSecond: number;
  readonly rates: Readonly<Record<(typeof PACKET_BYTES)[number], PacketRate>>;
  readonly latency: Latency;
};

type Durations = { readonly tcp: number; readonly udp: number; readonly ping: number };

/** One tunnel and each suite: ours, kernel-libipsec's, and the same wire in clear, in turns. */
export async function tunnelRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  const rounds = isQuick ? 2 : 5;
  const seconds: Durations = isQuick ? { tcp: 2, udp: 1, ping: 1 } : { tcp: 4, udp: 2, ping: 4 };
  await using ownLab = await Lab.create();
  await using peerLab = await Lab.create();
  const own = await startPair(ownLab, startLagopusGateway, startLagopusGateway);
  const peer = await startPair(peerLab, startLibipsecGateway, startLibipsecGateway);
  const through = (pair: Pair, suite: Suite) => async () => measure(await tunnelOf(pair, suite), seconds);
  const variants = SUITES.flatMap((suite) => [through(own, suite), through(peer, suite)]);
  const measured = await takeTurns(rounds, [
    ...variants,
    (round) => {
      progress(`one tunnel, round ${round + 1} of ${rounds}`);
      return measure(clearOf(own), seconds);
    },
  ]);
  const clear = measured.at(-1) ?? [];
  return [
    ...SUITES.flatMap(({ name }, index) =>
      suiteRows(name, measured[2 * index] ?? [], measured[2 * index + 1] ?? []),
    ),
    ...clearRows(clear),
  ];
}

async function measure(carrier: Carrier, seconds: Durations): Promise<Figures> {
  const { from, to, dir } = carrier;
  const { megabitsPerSecond } = await measureTcp({ from, to, dir, seconds: seconds.tcp });
  // Before the floods, which leave queues behind.
  const latency = await measureLatency(carrier, seconds.ping);
  const rate = (packetBytes: number): Promise<PacketRate> =>
    measurePacketRate(carrier, { packetBytes, seconds: seconds.udp });
  const rates = { 64: await rate(64), 512: await rate(512), 1400: await rate(1400) };
  return { megabitsPerSecond, rates, latency };
}

type Measure = {
  readonly name: string;
  readonly unit: string;
  readonly aim?: string;
  readonly figure: (figures: Figures) => number;
};

const TCP: Measure = {
  ...{ name: 'TCP, one stream', unit: 'Mbit/s', aim: 'ratio >= 3' },
  figure: ({ megabitsPerSecond }) => megabitsPerSecond,
};

const RATES: readonly Measure[] = PACKET_BYTES.map((bytes) => ({
  ...{ name: `UDP, ${bytes}-byte packets`, unit: 'packets/s' },
  figure: ({ rates }) => rates[bytes].packetsPerSecond,
}));

const COSTS: readonly Measure[] = PACKET_BYTES.map((bytes) => ({
  ...{ name: `CPU of one end, ${bytes}-byte packet`, unit: 'us' },
  ...(bytes === 1400 ? { aim: '<= 5' } : {}),
  figure: ({ rates }) => rates[bytes].cpuMicrosecondsPerPacket,
}));

const LATENCIES: readonly Measure[] = [
  {
    ...{ name: 'ping under 5,000 packets/s, p50', unit: 'us' },
    figure: ({ latency }) => latency.p50Microseconds,
  },
  {
    ...{ name: 'ping under 5,000 packets/s, p99', unit: 'us' },
    figure: ({ latency }) => latency.p99Microseconds,
  },
];

function suiteRows(suite: string, own: readonly Figures[], peer: readonly Figures[]): readonly Row[] {
  return [TCP, ...RATES, ...COSTS, ...LATENCIES].map(({ name, unit, aim, figure }) =>
    makeRow({
      ...{ name: `${suite}: ${name}`, unit, aim },
      values: own.map(figure),
      peer: { name: PEER_NAME, values: peer.map(figure) },
    }),
  );
}

function clearRows(clear: readonly Figures[]): readonly Row[] {
  return [TCP, ...RATES, ...LATENCIES].map(({ name, unit, figure }) =>
    makeRow({ name: `no encryption: ${name}`, unit, values: clear.map(figure) }),
  );
}
