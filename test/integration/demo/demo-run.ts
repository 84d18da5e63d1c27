import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, eventually, inRepository, ManagedProcess } from '../../support/index.ts';

/** `npm run demo` without npm. */
export class DemoRun implements AsyncDisposable {
  readonly #process: ManagedProcess;
  readonly #lines: string[] = [];
  #storyPid = 0;

  /** `dir` is where its complaints go. */
  constructor(dir: string, args: readonly string[] = []) {
    this.#process = new ManagedProcess({
      name: 'demo',
      argv: [process.execPath, inRepository('demo', 'main.ts'), ...args],
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
  async #leftOvers(): Promise<string[]> {
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

  /** A process that was killed takes a moment to be gone. */
  async assertNothingLeft(): Promise<void> {
    let left: readonly string[] = [];
    await eventually('nothing is left', async () => {
      left = await this.#leftOvers();
      return left.length === 0;
    }).catch(() => assert.deepEqual(left, []));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}
