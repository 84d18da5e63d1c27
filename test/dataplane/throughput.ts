import { z } from 'zod';
import { command, type NetNamespace } from '../support/index.ts';

const iperfSchema = z.object({
  end: z.object({
    sum_received: z.object({ bits_per_second: z.number(), seconds: z.number() }),
    sum_sent: z.object({ retransmits: z.number().optional() }),
  }),
});

export type Throughput = { readonly bitsPerSecond: number; readonly retransmits: number };

export type ThroughputOptions = {
  readonly from: { readonly namespace: NetNamespace; readonly address: string };
  readonly to: { readonly namespace: NetNamespace; readonly address: string };
  readonly seconds: number;
  readonly streams?: number;
  /** Where iperf3's server logs. */
  readonly dir: string;
};

const PORT = '5201';

/** TCP from one inner address to another, as iperf3 at the receiver counts it. */
export async function measureThroughput(options: ThroughputOptions): Promise<Throughput> {
  const { from, to, seconds, streams = 1, dir } = options;
  const listening = `sport = :${PORT}`;
  await using server = to.namespace.spawn({
    name: 'iperf3 server',
    argv: ['iperf3', '--server', '--one-off', '--bind', to.address, '--port', PORT],
    logPath: `${dir}/iperf3.log`,
  });
  await server.waitFor('it listens', async () => {
    const { stdout } = await command(to.namespace.argv(['ss', '-Hltn', listening]));
    return stdout.includes(PORT);
  });
  const { stdout } = await from.namespace.run(
    [
      ...(['iperf3', '--client', to.address, '--bind', from.address, '--port', PORT, '--json'] as const),
      ...(['--time', String(seconds), '--parallel', String(streams)] as const),
    ],
    { timeoutMs: seconds * 1000 + 10_000 },
  );
  const { end } = iperfSchema.parse(JSON.parse(stdout));
  return { bitsPerSecond: end.sum_received.bits_per_second, retransmits: end.sum_sent.retransmits ?? 0 };
}
