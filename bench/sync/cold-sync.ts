import { setTimeout as sleep } from 'node:timers/promises';
import { ScaleRig } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';
import { median } from '../support/statistics.ts';
import { residentMebibytes } from './resident-memory.ts';

/** The first reading of all counters is over by then. */
const SETTLE_MS = 3_000;

type Figures = { readonly seconds: readonly number[]; readonly mebibytes: readonly number[] };

/** An agent that knows nothing, a charon and a dataplane that have everything. */
export async function coldSyncRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  const measure = async (sas: number, rounds: number): Promise<Figures> => {
    await using rig = await ScaleRig.create(sas);
    await rig.fillDataplane();
    const seconds: number[] = [];
    const mebibytes: number[] = [];
    for (let round = 0; round < (isQuick ? 1 : rounds); round += 1) {
      progress(`cold sync of ${sas} SAs, round ${round + 1}`);
      await rig.startAgent();
      const readyAtMs = await rig.ready();
      seconds.push((readyAtMs - rig.gateway.plugin.snapshotAtMs) / 1_000);
      await sleep(SETTLE_MS);
      mebibytes.push(await residentMebibytes(rig.agentPid));
      await rig.assertEqual();
      await rig.killAgent();
    }
    return { seconds, mebibytes };
  };
  const none = await measure(0, 3);
  const [small, middle, large] = [
    await measure(1_000, 5),
    await measure(10_000, 5),
    await measure(50_000, 3),
  ];

  const perSa = (figure: (figures: Figures) => readonly number[]): number => {
    const share = (figures: Figures, sas: number): number =>
      (median(figure(figures)) - median(figure(none))) / sas;
    return share(large, 50_000) / share(small, 1_000);
  };
  const aim = 'at most 1.3';
  return [
    makeRow({ name: 'cold-sync-1k', unit: 's', values: small.seconds }),
    makeRow({ name: 'cold-sync-10k', unit: 's', aim: 'under 1', values: middle.seconds }),
    makeRow({ name: 'cold-sync-50k', unit: 's', values: large.seconds }),
    makeRow({
      name: 'time per SA, 50k against 1k',
      unit: 'ratio',
      aim,
      values: [perSa(({ seconds }) => seconds)],
    }),
    makeRow({ name: 'rss-0', unit: 'MiB', values: none.mebibytes }),
    makeRow({ name: 'rss-10k', unit: 'MiB', aim: 'under 250', values: middle.mebibytes }),
    makeRow({ name: 'rss-50k', unit: 'MiB', values: large.mebibytes }),
    makeRow({
      name: 'memory per SA, 50k against 1k',
      unit: 'ratio',
      aim,
      values: [perSa(({ mebibytes }) => mebibytes)],
    }),
  ];
}
