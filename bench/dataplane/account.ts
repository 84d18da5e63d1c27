import { join } from 'node:path';
import { CommandError, command, Lab, PacketFlow } from '../../test/support/index.ts';
import { startLagopusGateway } from '../path/gateway.ts';
import { startPair } from '../path/pair.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { cpuSeconds } from '../support/cpu-time.ts';
import { makeRow, type Row } from '../support/row.ts';
import { type Carrier, SUITES, tunnelOf } from './carrier.ts';
import { type Account, classifySamples, mapStages, STAGES } from './perf-samples.ts';

/** Well below what a tunnel carries, so that every packet that costs something arrives. */
const LOAD = { packetsPerSecond: 30_000, sizeBytes: 1372 };
const SAMPLES_PER_SECOND = '1999';

/** What the microseconds of a 1400-byte packet are spent on, at either end, by perf's samples. */
export async function accountRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  if (!(await hasPerf())) {
    progress('perf is not installed (Debian: linux-perf): no account of where the time goes');
    return [];
  }
  const rounds = isQuick ? 1 : 5;
  const seconds = isQuick ? 2 : 4;
  await using lab = await Lab.create();
  const pair = await startPair(lab, startLagopusGateway, startLagopusGateway);
  const rows: Row[] = [];
  for (const suite of SUITES) {
    const accounts: (readonly [Account, Account])[] = [];
    const carrier = await tunnelOf(pair, suite);
    for (let round = 0; round < rounds; round += 1) {
      progress(`where the time goes, ${suite.name}, round ${round + 1} of ${rounds}`);
      accounts.push(await measureAccount(carrier, seconds));
    }
    for (const [end, name] of ['sender', 'receiver'].entries())
      for (const stage of STAGES)
        rows.push(
          makeRow({
            name: `${suite.name}: 1400-byte packet, ${name}: ${stage}`,
            unit: 'us',
            values: accounts.map((ends) => ends[end]?.[stage] ?? 0),
          }),
        );
  }
  return rows;
}

async function hasPerf(): Promise<boolean> {
  try {
    await command(['perf', 'record', '-q', '-e', 'cpu-clock', '-o', '/dev/null', 'true']);
    return true;
  } catch (error) {
    if (error instanceof CommandError || (error instanceof Error && 'code' in error)) return false;
    throw error;
  }
}

async function measureAccount(
  { from, to, dir, pids }: Carrier,
  seconds: number,
): Promise<[Account, Account]> {
  await using flow = await PacketFlow.start({ from, to, dir, ...LOAD });
  await flow.waitReceived(1_000);
  const before = await flow.received();
  const [sender = 0, receiver = 0] = pids;
  const accounts = await Promise.all(
    [sender, receiver].map((pid) => record(pid, join(dir, 'perf'), seconds)),
  );
  const packets = (await flow.received()).received - before.received;
  const [own, others] = accounts.map((account) => perPacket(account, packets));
  if (own === undefined || others === undefined) throw new Error('two processes were recorded');
  return [own, others];
}

type Recorded = { readonly shares: Account; readonly cpuSeconds: number };

async function record(pid: number, path: string, seconds: number): Promise<Recorded> {
  const file = `${path}-${pid}.data`;
  const before = await cpuSeconds([pid]);
  await command(
    [
      ...(['perf', 'record', '-q', '-g', '-e', 'cpu-clock', '-F', SAMPLES_PER_SECOND] as const),
      ...['-o', file, '-p', String(pid), '--', 'sleep', String(seconds)],
    ],
    { timeoutMs: seconds * 1_000 + 20_000 },
  );
  const used = (await cpuSeconds([pid])) - before;
  const { stdout } = await command(['perf', 'script', '-F', 'ip,sym,dso', '-i', file], { timeoutMs: 60_000 });
  return { shares: classifySamples(stdout), cpuSeconds: used };
}

function perPacket({ shares, cpuSeconds: used }: Recorded, packets: number): Account {
  const each = (used * 1e6) / packets;
  return mapStages((stage) => shares[stage] * each);
}
