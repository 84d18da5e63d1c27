import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { MUTANTS, type Mutant } from './mutants.ts';

const ROOT = new URL('../../../', import.meta.url);
const RULES = /^(no|nothing|every|in the end|one bad|requests|a plan|a second) /;

const outcome = z.object({ runs: z.number(), rule: z.string().nullable() });

/** What the model says of the product with one mistake in it. */
async function run({ file, find, replace }: Omit<Mutant, 'name'>): Promise<z.infer<typeof outcome>> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', './test/sync/model/mutate.ts', 'test/sync/model/mutant-runner.ts'],
    {
      cwd: ROOT,
      timeout: 100_000,
      env: { ...process.env, LAGOPUS_MUTANT: JSON.stringify({ file, find, replace }) },
    },
  );
  return outcome.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
}

for (const mutant of MUTANTS) {
  test(`the model notices: ${mutant.name}`, async (t) => {
    const source = readFileSync(new URL(mutant.file, ROOT), 'utf8');
    assert.equal(source.split(mutant.find).length - 1, 1, `${mutant.file} has this once: ${mutant.find}`);
    const { runs, rule } = await run(mutant);
    t.diagnostic(`${runs} worlds: ${rule}`);
    assert.match(rule ?? 'not noticed', RULES);
    assert.doesNotMatch(rule ?? '', /^nothing is thrown/);
  });
}

test('the model notices nothing in the product as it is', async (t) => {
  const find = 'export const REKEY_SPACING_MS = 50;';
  const { runs, rule } = await run({ file: 'src/sync/sync-engine-options.ts', find, replace: find });
  t.diagnostic(`${runs} worlds`);
  assert.equal(rule, null);
});
