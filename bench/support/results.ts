import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from './environment.ts';
import type { Row } from './row.ts';

const SIGNIFICANT_DIGITS = 6;

/** Writes `NAME.json` for one benchmark and tells its path. */
export async function writeResults(
  dir: string,
  name: string,
  results: Environment & { readonly isQuick: boolean; readonly rows: readonly Row[] },
): Promise<string> {
  await mkdir(dir, { recursive: true });
  const path = join(dir, `${name}.json`);
  await writeFile(path, `${JSON.stringify(results, roundFigure, 2)}\n`);
  return path;
}

function roundFigure(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(SIGNIFICANT_DIGITS)) : value;
}
