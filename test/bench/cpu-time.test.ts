import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuSeconds, parseCpuSeconds } from '../../bench/support/cpu-time.ts';

test('user and system time are found behind any command name', () => {
  const stat = '42 (a ) R 1 (b) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 7 8 20 0 1 0 9 10 11';
  assert.equal(parseCpuSeconds(stat), 1.75);
});

test('what is no /proc/PID/stat is refused', () => {
  assert.throws(() => parseCpuSeconds('42 (charon) S 1'), /not a \/proc\/PID\/stat/);
});

test('this process has used some, and never less than before', async () => {
  const before = await cpuSeconds([process.pid]);
  const until = performance.now() + 50;
  while (performance.now() < until);
  const after = await cpuSeconds([process.pid]);
  assert(after > before);
});
