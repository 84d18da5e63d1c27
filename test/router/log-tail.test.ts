import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dumbPort, logTail } from './log-tail.ts';

test('the last lines, cut', () => {
  const log = Array.from({ length: 40 }, (_, index) => `line ${index}\n`).join('\n');
  const tail = logTail(`${log}${'x'.repeat(500)}`).split('\n');
  assert.equal(tail.length, 15);
  assert.equal(tail[0], 'line 26');
  assert.equal(tail.at(-1), 'x'.repeat(200));
});

test('lines that may hold a key are left out', () => {
  const lines = [
    'aes: 00112233445566778899aabbccddeeff',
    '[17 34 51 68 85 102 119 136 153 170 187 204]',
    'KeyStr: a',
  ];
  assert.equal(logTail(lines.join('\n')), '(left out)\n(left out)\n(left out)');
});

test('an empty log is called so', () => {
  assert.equal(logTail('\n'), '(it logged nothing)');
});

test('a port whose reader ended is seen, one that was closed is not', () => {
  const line = (reason: string): string =>
    `[INFO ][tap] vrf1-tap: Read from Tap failed: read /dev/net/tun: ${reason}`;
  assert.equal(dumbPort(`up\n${line('not pollable')}\nadded`), line('not pollable'));
  assert.equal(dumbPort(line('file already closed')), undefined);
  assert.equal(dumbPort('up\n'), undefined);
});
