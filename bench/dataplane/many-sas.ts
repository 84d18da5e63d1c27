import { randomBytes } from 'node:crypto';
import { Direction, type Operation } from '../../src/proto/index.ts';
import { type ManualEnd, ManualTunnel } from '../../test/dataplane/manual-tunnel.ts';
import { addSa, gcm128, putPolicy, samplePolicy, sampleSa, selector } from '../../test/dataplane/samples.ts';
import { command, Lab } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';

const SAS = 10_000;
/** TCP streams, each through an SA of its own: iperf3 counts their ports up from here. */
const STREAMS = 100;
const FIRST_PORT = 20_000;
const BATCH = 500;
const TCP = 6;
const SERVER_PORT = '5201';

/** Policies for one port each, and an SA for each of them, in one direction. */
async function installMany(from: ManualEnd, to: ManualEnd, portOf: 'source' | 'destination'): Promise<void> {
  for (let first = 0; first < SAS; first += BATCH) {
    const sending: Operation[] = [];
    const receiving: Operation[] = [];
    for (let index = first; index < first + BATCH; index += 1) {
      const port = FIRST_PORT + index;
      const side = (net: string, hasPort: boolean) =>
        selector(net, TCP, hasPort ? { first: port, last: port } : { first: 0, last: 65535 });
      const match = {
        source: side(from.site.innerNet, portOf === 'source'),
        destination: side(to.site.innerNet, portOf === 'destination'),
      };
      const spi = 0xc1000000 + index;
      const reqid = 2 + index;
      const common = {
        ...{ spi, source: from.site.outer, destination: to.site.outer, suite: gcm128 },
        encryptionKey: randomBytes(gcm128.encryptionKeyBytes),
        overrides: {
          reqid,
          sourceSelectors: [match.source],
          destinationSelectors: [match.destination],
        },
      };
      // Before the policies of the whole networks.
      const policy = { ...match, spi, peer: to.site.outer, reqid, priority: 10 };
      receiving.push(
        addSa(sampleSa({ ...common, direction: Direction.DIRECTION_INBOUND })),
        putPolicy(samplePolicy({ ...policy, direction: Direction.DIRECTION_INBOUND })),
      );
      sending.push(
        addSa(sampleSa({ ...common, direction: Direction.DIRECTION_OUTBOUND })),
        putPolicy(samplePolicy(policy)),
      );
    }
    await to.client.must(...receiving);
    await from.client.must(...sending);
  }
}

/** Megabits a second of all streams together. */
async function throughput({ left, right }: ManualTunnel, seconds: number): Promise<number> {
  await using server = right.site.namespace.spawn({
    name: 'iperf3 server',
    argv: ['iperf3', '--server', '--one-off', '--bind', right.site.inner],
    logPath: `${right.site.dir}/iperf3.log`,
  });
  await server.waitFor('it listens', async () => {
    const { stdout } = await command(right.site.namespace.argv(['ss', '-Hltn', `sport = :${SERVER_PORT}`]));
    return stdout.includes(SERVER_PORT);
  });
  const { stdout } = await left.site.namespace.run(
    [
      ...(['iperf3', '--client', right.site.inner, '--bind', left.site.inner, '--json'] as const),
      ...(['--time', String(seconds), '--parallel', String(STREAMS), '--cport', String(FIRST_PORT)] as const),
    ],
    { timeoutMs: seconds * 1_000 + 20_000 },
  );
  const bits = /"sum_received":\s*\{[^}]*"bits_per_second":\s*([\d.e+]+)/.exec(stdout)?.[1];
  return Number(bits) / 1e6;
}

/** 100 TCP streams through one SA, and through 100 of 10,000 that are installed. */
export async function manySaRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  const runs = isQuick ? 2 : 5;
  const seconds = isQuick ? 3 : 5;
  await using lab = await Lab.create();
  using one = await ManualTunnel.start(lab);
  await using otherLab = await Lab.create();
  using many = await ManualTunnel.start(otherLab);
  progress(`installing ${SAS} SAs in each direction`);
  await installMany(many.left, many.right, 'source');
  await installMany(many.right, many.left, 'destination');
  const values: { readonly one: number[]; readonly many: number[] } = { one: [], many: [] };
  for (let run = 0; run < runs; run += 1) {
    progress(`${STREAMS} streams, run ${run + 1} of ${runs}`);
    for (const which of run % 2 === 0 ? (['one', 'many'] as const) : (['many', 'one'] as const)) {
      values[which].push(await throughput(which === 'one' ? one : many, seconds));
    }
  }
  return [
    makeRow({
      name: `${STREAMS} TCP streams through ${STREAMS} of ${SAS} SAs`,
      unit: 'Mbit/s',
      aim: 'within 10 % of one SA',
      values: values.many,
      peer: { name: 'through one SA', values: values.one },
    }),
  ];
}
