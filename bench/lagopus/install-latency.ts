import { setTimeout as sleep } from 'node:timers/promises';
import { deleteSa, type Rig, type SampleSa, samplePolicy, sampleSa } from '../../test/vsw/driver/rig.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';
import { SpiSource, startRouter } from './router.ts';

const aims = {
  outbound: 'under 40 ms',
  inbound: 'within one tick and 50 ms: 1050 ms',
} as const;
const meaning = { outbound: 'visible', inbound: 'mature' } as const;
/** Another peer for each, as policies of PF_KEY choose by addresses. */
const peerOf = (index: number): string => `198.18.${1 + (index >> 8)}.${index & 255}`;
/** A free slot is needed for the one that is measured, and two ticks after it was deleted. */
const FREE_AGAIN_MS = 2_050;
const MEASURED_PEER = 250;

/** In both ways to install, beside 10 and beside 100 SAs. */
export async function installRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const via of ['relay', 'pfkey'] as const) {
    for (const inPlace of [10, 100]) {
      progress(`install through ${via} beside ${inPlace} SAs`);
      await using rig = await startRouter(via);
      const spis = new SpiSource();
      const fill = Array.from({ length: inPlace }, (_, index) =>
        sampleSa({ direction: 'outbound', spi: spis.take(), peer: peerOf(index) }),
      );
      await rig.client.must(...fill);
      for (const direction of ['outbound', 'inbound'] as const) {
        const values = await measure(rig, spis, direction, isQuick ? 3 : 12);
        rows.push(
          makeRow({
            name: `${via}, ${inPlace} SAs in place: add_sa ${direction} to ${meaning[direction]}`,
            unit: 'ms',
            aim: aims[direction],
            values,
          }),
        );
      }
    }
  }
  return rows;
}

async function measure(
  rig: Rig,
  spis: SpiSource,
  direction: SampleSa['direction'],
  runs: number,
): Promise<readonly number[]> {
  const peer = peerOf(MEASURED_PEER);
  const values: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const sa = { direction, spi: spis.take(), peer };
    // Through PF_KEY an inbound SA works once there is a policy for it.
    if (direction === 'inbound') await rig.client.must(samplePolicy(sa));
    // Anywhere between two ticks.
    await sleep((1_000 * run) / runs);
    const startedMs = performance.now();
    await rig.client.must(sampleSa(sa));
    values.push(performance.now() - startedMs);
    await rig.client.must(deleteSa(sa));
    await sleep(FREE_AGAIN_MS);
    spis.giveBack(sa.spi);
  }
  return values;
}
