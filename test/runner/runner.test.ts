import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { ROOT } from '../support/repository.ts';
import { TempDir } from '../support/temp-dir.ts';

type Outcome = { readonly status: number; readonly output: string };

/** Runs a test file with this text as the project's commands run test files. */
async function run(text: string): Promise<Outcome> {
  await using dir = new TempDir();
  const file = dir.file('it.test.mjs');
  writeFileSync(file, `import { it } from 'node:test';\n${text}`);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return await new Promise((resolve) => {
    const words = ['scripts/run-tests.sh', '60', file, '--test-timeout=300'];
    const child = execFile('sh', words, { cwd: ROOT, env }, (_error, stdout, stderr) =>
      resolve({ status: child.exitCode ?? -1, output: stdout + stderr }),
    );
  });
}

const BUSY = 'setInterval(() => undefined, 1000);';

it('has all outcomes of a file that does not end by itself, and says what kept it', async () => {
  const many = Array.from({ length: 200 }, (_, index) => `it('test ${index}', () => undefined);`).join('\n');
  const { status, output } = await run(`${BUSY}\n${many}`);
  assert.equal(status, 0, output);
  assert.match(output, /^ℹ pass 200$/m);
  assert.match(output, /it\.test\.mjs: ended 10000 ms after its last test; still busy: .*Timeout/);
});

it('fails for a failed test, and one that ran into its time-out, in such a file', async () => {
  const { status, output } = await run(`${BUSY}
    it('fails', () => { throw new Error('no'); });
    it('hangs', () => new Promise(() => undefined));`);
  assert.equal(status, 1, output);
  assert.match(output, /^ℹ fail 1$/m);
  assert.match(output, /^ℹ cancelled 1$/m);
});

it('fails for a file whose process ended before its last test had an outcome', async () => {
  const { status, output } = await run(`it('passes', () => undefined); it('ends', () => process.exit(0));`);
  assert.equal(status, 1, output);
  assert.match(output, /outcomes of 0 of 1 test files are complete; cut short: .*it\.test\.mjs/);
});
