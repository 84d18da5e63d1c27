import { PacketFlow } from '../../test/support/index.ts';
import { quantile } from '../support/statistics.ts';
import type { Carrier } from './carrier.ts';

const LOAD = { packetsPerSecond: 10_000, sizeBytes: 1372 };
const INTERVAL_SECONDS = 0.004;

export type Latency = {
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  readonly lost: number;
};

/** Round trips of pings while 10,000 packets of 1400 bytes a second go the same way. */
export async function measureLatency({ from, to, dir }: Carrier, seconds: number): Promise<Latency> {
  await using load = await PacketFlow.start({ from, to, dir, ...LOAD });
  await load.waitReceived(1_000);
  const count = Math.round(seconds / INTERVAL_SECONDS);
  const timing = ['-i', String(INTERVAL_SECONDS), '-c', String(count), '-W', '1'];
  const { stdout } = await from.namespace.run(['ping', '-n', ...timing, '-I', from.address, to.address], {
    timeoutMs: seconds * 4_000 + 10_000,
  });
  const times = [...stdout.matchAll(/time=([0-9.]+) ms/g)].map(([, ms]) => Number(ms) * 1_000);
  return {
    p50Microseconds: quantile(times, 0.5),
    p99Microseconds: quantile(times, 0.99),
    lost: count - times.length,
  };
}
