import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { inRepository } from '../support/index.ts';
import { PEER_NAMES } from './impossible.ts';
import { rowName } from './row.ts';
import type { CellRun } from './runner.ts';

const outcomeSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('passed'),
    packetsOut: z.number(),
    packetsIn: z.number(),
    repeats: z.number(),
  }),
  z.object({ kind: z.literal('refused'), reason: z.string() }),
  z.object({ kind: z.literal('impossible'), reason: z.string() }),
  z.object({ kind: z.literal('failed'), reason: z.string() }),
]);

const resultSchema = z.object({
  peer: z.enum(PEER_NAMES),
  row: z.string(),
  outcome: outcomeSchema,
  /** What was run, and when, in minutes of UTC. */
  commit: z.string(),
  at: z.string(),
});

/** What became of a cell when it was run last. */
export type Result = z.infer<typeof resultSchema>;

/** The last outcome of every cell, over many runs; the page is made of it. */
export class Results {
  readonly #path: string;
  readonly #cells: Map<string, Result>;

  private constructor(path: string, cells: readonly Result[]) {
    this.#path = path;
    this.#cells = new Map(cells.map((cell) => [keyOf(cell), cell]));
  }

  /** Those of earlier runs. */
  static async load(): Promise<Results> {
    const path = inRepository('build', 'conformance', 'results.json');
    const text = await readFile(path, 'utf8').catch(() => '[]');
    return new Results(path, z.array(resultSchema).parse(JSON.parse(text)));
  }

  add({ peer, row, outcome }: CellRun, commit: string): void {
    const at = new Date().toISOString().slice(0, 16).replace('T', ' ');
    const result: Result = { peer, row: rowName(row), outcome, commit, at };
    this.#cells.set(keyOf(result), result);
  }

  find(peer: string, row: string): Result | undefined {
    return this.#cells.get(keyOf({ peer, row }));
  }

  async save(): Promise<void> {
    await mkdir(join(this.#path, '..'), { recursive: true });
    await writeFile(this.#path, `${JSON.stringify([...this.#cells.values()])}\n`);
  }
}

function keyOf({ peer, row }: { readonly peer: string; readonly row: string }): string {
  return `${peer} ${row}`;
}
