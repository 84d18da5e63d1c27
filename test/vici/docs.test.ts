import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { command } from '../support/command.ts';
import { FakeCharon } from '../support/fake-charon.ts';
import { inRepository } from '../support/repository.ts';
import { TempDir } from '../support/temp-dir.ts';
import { sampleChild, sampleIke } from './samples.ts';

const PAGE = readFileSync(inRepository('docs', 'vici.md'), 'utf8');
const EXAMPLES = [...PAGE.matchAll(/```ts\n(.*?)```\n+```text\n(.*?)```/gs)];

test('the page has its examples', () => {
  assert.equal(EXAMPLES.length, PAGE.split('```ts\n').length - 1);
  assert.ok(EXAMPLES.length >= 6);
});

for (const [index, [, source = '', output]] of EXAMPLES.entries()) {
  test(`example ${index + 1} of docs/vici.md does what it says`, async () => {
    await using dir = new TempDir();
    const path = dir.file('vici');
    const done = { reply: { success: 'yes' } };
    await using fake = await FakeCharon.listen(path, {
      commands: {
        'load-conn': () => done,
        'load-shared': () => done,
        initiate: () => {
          fake.raise('child-updown', {
            up: 'yes',
            gw: sampleIke({ 'child-sas': { 'net-7': sampleChild() } }),
          });
          const log = { group: 'IKE', level: 1, msg: 'establishing CHILD_SA net{1}' };
          return { events: [['control-log', log]], ...done };
        },
      },
    });
    fake.sas = [{ name: 'gw', fields: sampleIke(), children: [sampleChild()] }];
    const program = source
      .replaceAll('lagopus-ipsec-agent/vici', inRepository('src', 'vici', 'index.ts'))
      .replaceAll('/run/charon.vici', path);
    const file = join(dir.path, 'example.ts');
    await writeFile(file, program);
    await writeFile(join(dir.path, 'package.json'), '{ "type": "module" }');
    assert.equal((await command([process.execPath, file])).stdout, output);
  });
}
