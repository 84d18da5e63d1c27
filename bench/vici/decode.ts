import { decodeMessage, SaSummaryReader } from '../../src/vici/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';
import { RECORDED_SAS, recordedMessages } from './recording.ts';

const MEGABYTE = 1e6;
/** Rounds in which the compiler learns the code; not measured. */
const WARM_UP_ROUNDS = 30;

/** From memory, without sockets and segments: messages of list-sa to what a program uses. */
export function decodeRows({ isQuick, progress }: BenchContext): readonly Row[] {
  const messages = recordedMessages();
  const bytes = messages.reduce((sum, { length }) => sum + length, 0);
  const reader = new SaSummaryReader();
  const variants = [
    ['generic tree', 'at least 130k', 50, (message: Uint8Array) => decodeMessage(message)],
    ['only what a SAD needs', 'at least 1.5M', 500, (message: Uint8Array) => reader.read(message)],
  ] as const;
  const rows: Row[] = [];
  for (const [name, aim, rounds, decode] of variants) {
    progress(`vici: decode, ${name}`);
    const run = (count: number): number => {
      const startedMs = performance.now();
      for (let round = 0; round < count; round += 1) for (const message of messages) decode(message);
      return (count * RECORDED_SAS * 1_000) / (performance.now() - startedMs);
    };
    run(WARM_UP_ROUNDS);
    const values = Array.from({ length: isQuick ? 3 : 15 }, () => run(rounds));
    rows.push(
      makeRow({ name: `decode, ${name}`, unit: 'SAs/s', aim, values }),
      makeRow({
        name: `decode, ${name}`,
        unit: 'MB/s',
        values: values.map((rate) => (rate * bytes) / RECORDED_SAS / MEGABYTE),
      }),
    );
  }
  return rows;
}
