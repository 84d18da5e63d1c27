import { setTimeout as sleep } from 'node:timers/promises';
import { ScaleRig } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { cpuSeconds } from '../support/cpu-time.ts';
import { makeRow, type Row } from '../support/row.ts';
import { quantile } from '../support/statistics.ts';

const SAS = 10_000;
/** Between two changes: so that they meet whatever else the agent does. */
const PAUSE_MS = 4;
/** Audits at 10 s, one of twenty of everything: a whole turn of them. */
const AUDIT_TURN_MS = 200_000;

/** One agent with everything installed: single changes, and what it costs to do nothing. */
export async function steadyRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  await using rig = await ScaleRig.create(SAS);
  await rig.fillDataplane();
  await rig.startAgent();
  await rig.inSync();

  const runs: (readonly number[])[] = [];
  for (let run = 0; run < (isQuick ? 1 : 5); run += 1) {
    progress(`single changes with ${SAS} SAs, run ${run + 1}`);
    runs.push(await changes(rig, isQuick ? 300 : 2_000));
  }
  await rig.assertEqual();

  progress(`${SAS} SAs and nothing to do`);
  const idle = await idlePercent(rig, isQuick ? AUDIT_TURN_MS / 10 : AUDIT_TURN_MS);
  progress('comparing everything');
  const comparisons: number[] = [];
  for (let round = 0; round < (isQuick ? 3 : 10); round += 1) {
    const before = await cpuSeconds([rig.agentPid]);
    await rig.assertEqual();
    comparisons.push((await cpuSeconds([rig.agentPid])) - before);
  }
  return [
    makeRow({ name: 'one-change-p50', unit: 'ms', values: runs.map((run) => quantile(run, 0.5)) }),
    makeRow({
      name: 'one-change-p99',
      unit: 'ms',
      aim: 'under 5',
      values: runs.map((run) => quantile(run, 0.99)),
    }),
    makeRow({ name: 'audit-cpu-10k', unit: '% of a core', aim: 'under 2', values: [idle] }),
    makeRow({ name: 'full comparison of 10k SAs, CPU of the agent', unit: 's', values: comparisons }),
  ];
}

/** The old SA's deletion and the new one's add_sa; the answer to the latter comes after both. In ms. */
async function changes({ gateway }: ScaleRig, count: number): Promise<readonly number[]> {
  const latencies: number[] = [];
  let previous = await gateway.addSpare();
  for (let index = 0; index < count; index += 1) {
    const startedMs = performance.now();
    previous = await gateway.replaceSpare(previous);
    latencies.push(performance.now() - startedMs);
    await sleep(PAUSE_MS);
  }
  gateway.deleteSpare(previous);
  return latencies;
}

async function idlePercent(rig: ScaleRig, windowMs: number): Promise<number> {
  const before = await cpuSeconds([rig.agentPid]);
  const startedMs = performance.now();
  await sleep(windowMs);
  const seconds = (performance.now() - startedMs) / 1_000;
  return (100 * ((await cpuSeconds([rig.agentPid])) - before)) / seconds;
}
