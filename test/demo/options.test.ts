import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOptions } from '../../demo/options.ts';

test('without arguments nothing is kept and logs are terse', () => {
  assert.deepEqual(readOptions([]), { keepDir: undefined, isVerbose: false });
});

test('a directory to keep is made absolute', () => {
  assert.deepEqual(readOptions(['--verbose', '--keep', '/tmp/../tmp/logs']), {
    keepDir: '/tmp/logs',
    isVerbose: true,
  });
});

test('an unknown option is told with the usage', () => {
  const options = readOptions(['--fast']);
  assert('usage' in options);
  assert.match(options.usage, /--fast[\s\S]*usage: npm run demo/);
  assert.equal(options.isAsked, false);
});
