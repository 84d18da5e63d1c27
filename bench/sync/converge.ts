import { ScaleRig } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';

const SAS = 10_000;

/** Each of the three parties dies and comes back, with everything installed before. */
export async function convergeRows(context: BenchContext): Promise<readonly Row[]> {
  const rounds = context.isQuick ? 1 : 3;
  await using rig = await ScaleRig.create(SAS);
  await rig.fillDataplane();
  await rig.startAgent();
  await rig.inSync();
  const after = async (what: string, happens: () => Promise<number>): Promise<Row> => {
    const values: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      context.progress(`${SAS} SAs, restart of ${what}, round ${round + 1} of ${rounds}`);
      const startedMs = await happens();
      values.push(((await rig.inSync()) - startedMs) / 1_000);
      await rig.assertEqual();
    }
    return makeRow({ name: `converge-after-${what}`, unit: 's', values });
  };
  const agent = await after('agent', async () => {
    await rig.killAgent();
    const startedMs = performance.now();
    await rig.startAgent();
    return startedMs;
  });
  const rekeyed = rig.gateway.rekeyed;
  const dataplane = await after('dataplane', async () => {
    await rig.killDataplane();
    const startedMs = performance.now();
    await rig.startDataplane();
    return startedMs;
  });
  if (rig.gateway.rekeyed - rekeyed < (rounds * SAS) / 2) throw new Error('not every CHILD_SA was rekeyed');
  const charon = await after('charon', () => restartCharon(rig));
  return [agent, dataplane, charon];
}

/** A new charon has nothing: everything of the old one has to go. It is put back before the clock starts. */
async function restartCharon(rig: ScaleRig): Promise<number> {
  if (rig.gateway.size === 0) {
    await rig.killAgent();
    rig.gateway.populate(SAS / 2);
    await rig.fillDataplane();
    await rig.startAgent();
    await rig.inSync();
  }
  const startedMs = performance.now();
  rig.gateway.restart();
  return startedMs;
}
