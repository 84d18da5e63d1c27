import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { inRepository } from '../support/index.ts';

function bench(...args: readonly string[]): { readonly status: number | null; readonly stderr: string } {
  return spawnSync(process.execPath, [inRepository('bench', 'main.ts'), ...args], { encoding: 'utf8' });
}

test('an unknown name lists the names there are, with status 2', () => {
  const { status, stderr } = bench('no-such-benchmark');
  assert.equal(status, 2);
  assert.match(stderr, /no benchmark is called no-such-benchmark; there is: .*\bpath\b/);
});

test('an unknown option shows the usage, with status 2', () => {
  const { status, stderr } = bench('--fast');
  assert.equal(status, 2);
  assert.match(stderr, /--fast/);
  assert.match(stderr, /usage: npm run bench/);
});
