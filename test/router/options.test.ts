import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { inRepository } from '../support/index.ts';
import { readOptions, vswArgv } from './options.ts';

const DEFAULTS = {
  pmdPath: undefined,
  vdevs: ['crypto_openssl'],
  cores: [0, 1],
  via: 'relay',
  openconfigd: undefined,
  messages: undefined,
  keepDir: undefined,
};

test('a path is all that is needed', () => {
  const program = { kind: 'binary', path: '/opt/vsw' };
  assert.deepEqual(readOptions(['--vsw', '/opt/vsw']), { ...DEFAULTS, program });
});

test('everything can be said', () => {
  const args = ['--command', 'nice vsw -f', '--via', 'pfkey', '--openconfigd', 'localhost:2650'];
  const more = ['--messages', '0.8.3', '--pmd-path', '/opt/dpdk/../lib', '--vdev', 'crypto_aesni_mb'];
  assert.deepEqual(readOptions([...args, ...more, '--cores', '2,5', '--keep', '/tmp/logs']), {
    program: { kind: 'command', words: 'nice vsw -f' },
    via: 'pfkey',
    openconfigd: 'localhost:2650',
    messages: '0.8.3',
    pmdPath: '/opt/lib',
    vdevs: ['crypto_aesni_mb'],
    cores: [2, 5],
    keepDir: '/tmp/logs',
  });
});

test('what makes no sense is told with the usage', () => {
  for (const [args, reason] of [
    [[], /either --vsw or --command/],
    [['--vsw', 'a', '--command', 'b'], /either --vsw or --command/],
    [['--vsw', 'a', '--via', 'vici'], /--via vici: expected relay or pfkey/],
    [['--vsw', 'a', '--cores', '1,1'], /--cores 1,1: expected two cores/],
    [['--vsw', 'a', '--cores', '64,1'], /--cores 64,1/],
    [['--vsw', 'a', '--openconfigd', 'localhost'], /--openconfigd localhost: expected HOST:PORT/],
    [['--vsw', 'a', '--messages', '0.8.3'], /--messages needs --openconfigd/],
    [['--fast'], /--fast/],
  ] as const) {
    const answer = readOptions(args);
    assert('text' in answer && !answer.isAsked, String(args));
    assert.match(answer.text, reason);
    assert.match(answer.text, /usage: npm run router/);
  }
});

test('the configuration is printed without a vsw', () => {
  const { print } = { print: undefined, ...readOptions(['--print', '--cores', '3,4']) };
  assert.deepEqual(print?.cores, [3, 4]);
});

test('a binary gets -f, a command its configuration as the last word', () => {
  assert.deepEqual(vswArgv({ kind: 'binary', path: '/opt/vsw' }, '/x/vsw.conf'), [
    '/opt/vsw',
    '-f',
    '/x/vsw.conf',
  ]);
  const [program, ...args] = vswArgv({ kind: 'command', words: 'printf "%s|" a\\ b' }, '/x y');
  assert.equal(spawnSync(program, args, { encoding: 'utf8' }).stdout, 'a b|/x y|');
});

test('the program ends with status 2 and the usage, without a vsw', () => {
  const main = inRepository('test', 'router', 'main.ts');
  const { status, stderr } = spawnSync(process.execPath, [main], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /^router: expected either --vsw or --command\nusage: /);
});
