/**
 * npm run bench [-- [--quick] [NAME...]]: measures, prints a table per benchmark and writes
 * bench/results/NAME.json. It reports and never judges: the status says whether it could measure.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchContext } from './support/benchmark.ts';
import { readEnvironment } from './support/environment.ts';
import { benchmarkNames, loadBenchmark } from './support/registry.ts';
import { writeResults } from './support/results.ts';
import { formatTable } from './support/table.ts';

const USAGE = 'usage: npm run bench -- [--quick] [NAME...]';
const INVALID_INPUT_STATUS = 2;

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);

async function main(): Promise<number> {
  const known = await benchmarkNames(import.meta.dirname);
  const options = readArguments(known);
  if (options === undefined) return INVALID_INPUT_STATUS;
  const context: BenchContext = { isQuick: options.isQuick, progress: say };
  const environment = await readEnvironment();
  for (const name of options.names) {
    const startedMs = performance.now();
    const benchmark = await loadBenchmark(import.meta.dirname, name);
    const rows = await benchmark(context);
    const resultsDir = join(import.meta.dirname, 'results');
    await writeResults(resultsDir, name, { ...environment, isQuick: context.isQuick, rows });
    process.stdout.write(`${formatTable(rows)}\n`);
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    say(`${name}: done in ${seconds} s, every run's figures are in bench/results/${name}.json`);
  }
  return 0;
}

/** Says what is wrong and returns undefined when they make no sense. */
function readArguments(
  known: readonly string[],
): { readonly isQuick: boolean; readonly names: readonly string[] } | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { quick: { type: 'boolean', default: false } },
    });
    const unknown = positionals.filter((name) => !known.includes(name));
    if (unknown.length > 0) {
      say(`no benchmark is called ${unknown.join(', ')}; there is: ${known.join(', ')}`);
      return undefined;
    }
    return { isQuick: values.quick, names: positionals.length > 0 ? positionals : known };
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return undefined;
  }
}

process.exitCode = await main();
