import { readdir } from 'node:fs/promises';
import { join, parse } from 'node:path';
import type { Benchmark } from './benchmark.ts';

/** The names that can be asked for: every module beside main.ts. */
export async function benchmarkNames(dir: string): Promise<readonly string[]> {
  const files = await readdir(dir, { withFileTypes: true });
  return files
    .filter((file) => file.isFile() && file.name.endsWith('.ts') && file.name !== 'main.ts')
    .map((file) => parse(file.name).name)
    .sort();
}

/** @throws Error when the module does not export a `benchmark`. */
export async function loadBenchmark(dir: string, name: string): Promise<Benchmark> {
  const module: unknown = await import(join(dir, `${name}.ts`));
  if (!isBenchmarkModule(module)) throw new Error(`bench/${name}.ts exports no benchmark`);
  return module.benchmark;
}

function isBenchmarkModule(module: unknown): module is { readonly benchmark: Benchmark } {
  return (
    typeof module === 'object' &&
    module !== null &&
    'benchmark' in module &&
    typeof module.benchmark === 'function'
  );
}
