import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { command, inRepository, ManagedProcess, TempDir } from '../support/index.ts';

/** `npm run demo` without npm. */
class Demo implements AsyncDisposable {
  readonly #process: ManagedProcess;
  readonly #lines: string[] = [];
  #storyPid = 0;

  constructor(dir: string) {
    this.#process = new ManagedProcess({
      name: 'demo',
      argv: [process.execPath, inRepository('demo', 'main.ts')],
      logPath: join(dir, 'demo.err'),
      onLine: (line) => this.#lines.push(line),
      // It clears up after itself, however long that takes within reason.
      graceMs: 20_000,
    });
  }

  get output(): string {
    return this.#lines.join('\n');
  }

  get lastLine(): string {
    return this.#lines.at(-1) ?? '';
  }

  /** Waits until it has printed this. */
  async reach(text: RegExp): Promise<RegExpExecArray> {
    const found = await this.#process.waitFor(
      `it prints ${text}`,
      () => text.exec(this.output) ?? undefined,
      60_000,
    );
    this.#storyPid = childOf(this.#process.pid);
    return found;
  }

  interrupt(signal: NodeJS.Signals): void {
    this.#process.signal(signal);
  }

  /** Its exit status. */
  async ended(): Promise<number | null> {
    return (await this.#process.exited).code;
  }

  /** What is left of it: namespaces, files, processes. */
  async leftOvers(): Promise<string[]> {
    assert.notEqual(this.#storyPid, 0);
    const { stdout } = await command(['ip', 'netns', 'list']);
    const tag = `-${this.#storyPid}-`;
    return [
      ...stdout.split('\n').filter((name) => name.startsWith(`lgp${tag}`)),
      ...readdirSync(tmpdir()).filter((name) => name.startsWith(`lagopus${tag}`)),
      ...[...this.output.matchAll(/pid (\d+)/g)]
        .filter(([, pid]) => existsSync(`/proc/${pid}`))
        .map(([text]) => text),
    ];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}

test('the demo loses no packet through a rekey from each side, and leaves nothing', async () => {
  await using dir = new TempDir();
  await using demo = new Demo(dir.path);
  await demo.reach(/right rekeys/);
  assert.equal(await demo.ended(), 0, demo.output);
  const counts = /^demo: (\d+) sent, (\d+) received, 2 rekeys, 0 lost$/.exec(demo.lastLine);
  assert.equal(counts?.[1], counts?.[2]);
  assert(Number(counts?.[1]) > 1_000);
  assert.equal(demo.output.match(/^demo:/gm)?.length, 1);
  assert.deepEqual(await demo.leftOvers(), []);
});

const moments = [
  { when: 'while namespaces are made', text: /Two IPsec gateways/, signal: 'SIGINT', status: 130 },
  { when: 'while daemons start', text: /right: starting/, signal: 'SIGTERM', status: 143 },
  { when: 'while packets flow', text: /packets arrived/, signal: 'SIGINT', status: 130 },
] as const;
for (const { when, text, signal, status } of moments) {
  test(`${signal} ${when} leaves nothing`, async () => {
    await using dir = new TempDir();
    await using demo = new Demo(dir.path);
    await demo.reach(text);
    demo.interrupt(signal);
    assert.equal(await demo.ended(), status);
    assert.equal(demo.lastLine, 'demo: interrupted; everything it made is removed');
    assert.deepEqual(await demo.leftOvers(), []);
  });
}

test('a dataplane that dies is told, fails the demo and leaves nothing', async () => {
  await using dir = new TempDir();
  await using demo = new Demo(dir.path);
  const pid = Number((await demo.reach(/dataplane pid (\d+)[\s\S]*packets arrived/))[1]);
  process.kill(pid, 'SIGKILL');
  assert.equal(await demo.ended(), 1);
  assert.match(demo.lastLine, /^demo: failed: dataplane in .* ended \(SIGKILL\)$/);
  assert.deepEqual(await demo.leftOvers(), []);
});
