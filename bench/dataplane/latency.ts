import { CommandError, PacketFlow } from '../../test/support/index.ts';
import { quantile } from '../support/statistics.ts';
import type { Carrier } from './carrier.ts';

const LOAD = { packetsPerSecond: 5_000, sizeBytes: 1372 };
const INTERVAL_SECONDS = 0.004;
const PATIENCE_MICROSECONDS = 1_000_000;

export type Latency = {
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
};

/** Round trips of pings while 5,000 packets of 1400 bytes a second go the same way. */
export async function measureLatency({ from, to, dir }: Carrier, seconds: number): Promise<Latency> {
  await using load = await PacketFlow.start({ from, to, dir, ...LOAD });
  await load.waitReceived(1_000);
  const count = Math.round(seconds / INTERVAL_SECONDS);
  const timing = ['-i', String(INTERVAL_SECONDS), '-c', String(count), '-W', '1'];
  const pinging = from.namespace.run(['ping', '-n', ...timing, '-I', from.address, to.address], {
    timeoutMs: seconds * 4_000 + 10_000,
  });
  // Status 1: none came back. Those that did not count with the time they were waited for.
  const { stdout } = await pinging.catch((error: unknown) => {
    if (error instanceof CommandError && error.status === 1) return error;
    throw error;
  });
  const answered = [...stdout.matchAll(/time=([0-9.]+) ms/g)].map(([, ms]) => Number(ms) * 1_000);
  const lost = Array.from({ length: Math.max(0, count - answered.length) }, () => PATIENCE_MICROSECONDS);
  const times = [...answered, ...lost];
  return {
    p50Microseconds: quantile(times, 0.5),
    p99Microseconds: quantile(times, 0.99),
  };
}
