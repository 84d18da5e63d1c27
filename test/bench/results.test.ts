import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { readEnvironment } from '../../bench/support/environment.ts';
import { writeResults } from '../../bench/support/results.ts';
import { makeRow } from '../../bench/support/row.ts';
import { ROOT, TempDir } from '../support/index.ts';

test('results name what they depend on and every value, six digits each', async () => {
  await using dir = new TempDir();
  const environment = await readEnvironment();
  const path = await writeResults(dir.file('results'), 'sample', {
    ...environment,
    isQuick: true,
    rows: [makeRow({ name: 'latency', unit: 'ms', values: [0.123_456_789, 2] })],
  });
  const results: unknown = JSON.parse(await readFile(path, 'utf8'));
  assert.deepEqual(results, {
    ...environment,
    isQuick: true,
    rows: [
      {
        name: 'latency',
        unit: 'ms',
        median: 1.061_73,
        min: 0.123_457,
        max: 2,
        runs: 2,
        values: [0.123_457, 2],
      },
    ],
  });
});

test('what they depend on is complete, and names neither the machine nor a folder', async () => {
  const { machine, versions, commit } = await readEnvironment();
  assert(machine.cores >= 1 && machine.memoryGiB > 0);
  assert.match(machine.kernel, /^\d+\.\d+/);
  assert.match(versions.node, /^\d+\./);
  assert.match(versions.strongswan, /^\d+\.\d+\.\d+/);
  assert.match(versions.agent, /^\d+\.\d+\.\d+/);
  assert.match(commit, /^([0-9a-f]{12}(\+changes)?|unknown)$/);
  const text = JSON.stringify({ machine, versions, commit });
  for (const secret of [hostname(), ROOT]) assert(!text.includes(secret), secret);
});
