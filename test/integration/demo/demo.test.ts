import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TempDir } from '../../support/index.ts';
import { DemoRun } from './demo-run.ts';

test('the demo loses no packet through a rekey from each side, and leaves nothing', async () => {
  await using dir = new TempDir();
  await using demo = new DemoRun(dir.path);
  await demo.reach(/right rekeys/);
  assert.equal(await demo.ended(), 0, demo.output);
  const counts = /^demo: (\d+) sent, (\d+) received, 2 rekeys, 0 lost$/.exec(demo.lastLine);
  assert.equal(counts?.[1], counts?.[2]);
  assert(Number(counts?.[1]) > 1_000);
  assert.equal(demo.output.match(/^demo:/gm)?.length, 1);
  await demo.assertNothingLeft();
});

const moments = [
  { when: 'while namespaces are made', text: /Two IPsec gateways/, signal: 'SIGINT', status: 130 },
  { when: 'while daemons start', text: /right: starting/, signal: 'SIGTERM', status: 143 },
  { when: 'while packets flow', text: /packets arrived/, signal: 'SIGINT', status: 130 },
] as const;
for (const { when, text, signal, status } of moments) {
  test(`${signal} ${when} leaves nothing`, async () => {
    await using dir = new TempDir();
    await using demo = new DemoRun(dir.path);
    await demo.reach(text);
    demo.interrupt(signal);
    assert.equal(await demo.ended(), status);
    assert.equal(demo.lastLine, 'demo: interrupted; everything it made is removed');
    await demo.assertNothingLeft();
  });
}

test('a dataplane that dies is told, fails the demo and leaves nothing', async () => {
  await using dir = new TempDir();
  await using demo = new DemoRun(dir.path);
  const pid = Number((await demo.reach(/dataplane pid (\d+)[\s\S]*packets arrived/))[1]);
  process.kill(pid, 'SIGKILL');
  assert.equal(await demo.ended(), 1);
  assert.match(demo.lastLine, /^demo: failed: dataplane in .* ended \(SIGKILL\)$/);
  await demo.assertNothingLeft();
});
