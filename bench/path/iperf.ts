import { join } from 'node:path';
import { z } from 'zod';
import type { PacketEnd } from '../../test/support/index.ts';

const PORT = 5201;

const reportSchema = z.object({
  end: z.object({
    sum_sent: z.object({ retransmits: z.number() }),
    sum_received: z.object({ bits_per_second: z.number(), bytes: z.number() }),
  }),
});

export type TcpReport = {
  /** What the receiver got, payload only. */
  readonly megabitsPerSecond: number;
  readonly bytes: number;
  readonly retransmits: number;
};

/** One TCP stream for `seconds`, by iperf3. */
export async function measureTcp(options: {
  readonly from: PacketEnd;
  readonly to: PacketEnd;
  readonly seconds: number;
  /** Where the log goes. */
  readonly dir: string;
}): Promise<TcpReport> {
  const { from, to, seconds } = options;
  let isListening = false;
  await using server = to.namespace.spawn({
    name: 'iperf3 server',
    argv: ['iperf3', '--server', '--one-off', '--forceflush', '--bind', to.address, '--port', String(PORT)],
    logPath: join(options.dir, 'iperf3.log'),
    onLine: (line) => {
      isListening ||= line.includes('listening');
    },
  });
  await server.waitFor('it listens', () => isListening);
  const { stdout } = await from.namespace.run(
    [
      ...(['iperf3', '--client', to.address, '--port', String(PORT), '--bind', from.address] as const),
      ...['--time', String(seconds), '--json'],
    ],
    { timeoutMs: (seconds + 10) * 1_000 },
  );
  const { sum_sent: sent, sum_received: received } = reportSchema.parse(JSON.parse(stdout)).end;
  return {
    megabitsPerSecond: received.bits_per_second / 1e6,
    bytes: received.bytes,
    retransmits: sent.retransmits,
  };
}
