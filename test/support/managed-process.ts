import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Argv } from './command.ts';
import { eventually } from './eventually.ts';
import { onExit } from './exit-hooks.ts';

export type ManagedProcessOptions = {
  /** What error messages call it. */
  readonly name: string;
  readonly argv: Argv;
  /** Where standard output and standard error are appended. */
  readonly logPath: string;
  /** Gives the test a pipe to the process's standard input. */
  readonly hasInput?: boolean;
  /** Standard output comes line by line to this function and not to the log. */
  readonly onLine?: (line: string) => void;
  /** How long SIGTERM is given before SIGKILL. */
  readonly graceMs?: number;
};

export type ProcessExit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/**
 * A long-running child in a process group of its own. The whole group ends with dispose, with this
 * process's exit, and (by the parent-death signal) with this process's SIGKILL.
 */
export class ManagedProcess implements AsyncDisposable {
  readonly name: string;
  readonly logPath: string;
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #graceMs: number;
  readonly #forget: () => void;
  #exit: ProcessExit | undefined;

  constructor(options: ManagedProcessOptions) {
    this.name = options.name;
    this.logPath = options.logPath;
    this.#graceMs = options.graceMs ?? 3_000;
    const log = openSync(options.logPath, 'a');
    const stdio: StdioOptions = [
      options.hasInput === true ? 'pipe' : 'ignore',
      options.onLine === undefined ? log : 'pipe',
      log,
    ];
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...options.argv], {
      stdio,
      detached: true,
    });
    closeSync(log);
    if (options.onLine !== undefined) this.#readLines(options.onLine);
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      // 'close', not 'exit': its last lines have been read by then.
      this.#child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    this.exited.catch(() => undefined);
    this.#forget = onExit(() => this.#signalGroup('SIGKILL'));
  }

  /** @throws Error when it could not be started. */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} did not start`);
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#exit === undefined;
  }

  /** Sends a signal to the process itself, not to its children. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  write(text: string): void {
    if (this.#child.stdin === null) throw new Error(`${this.name} has no input`);
    this.#child.stdin.write(text);
  }

  /** Everything it logged so far. */
  log(): Promise<string> {
    return readFile(this.logPath, 'utf8');
  }

  /**
   * Waits until `ask` answers; ends early when the process ends.
   *
   * @throws Error with the end of the process's log.
   */
  async waitFor<T>(
    what: string,
    ask: () => T | Promise<T>,
    timeoutMs = 10_000,
  ): Promise<Exclude<T, undefined | false>> {
    const ended = Symbol('ended');
    try {
      const answer = await eventually(what, async () => (this.isRunning ? await ask() : ended), {
        timeoutMs,
      });
      if (typeof answer !== 'symbol') return answer as Exclude<T, undefined | false>;
      throw new Error(`${this.name} ended (${JSON.stringify(this.#exit)}) before: ${what}`);
    } catch (error) {
      throw new Error(`${this.name}: ${what}\n${(await this.log()).slice(-4_000)}`, { cause: error });
    }
  }

  /** Kills it as a crash would: no chance to clean up. */
  async kill(): Promise<void> {
    this.#signalGroup('SIGKILL');
    await this.exited;
  }

  /** Asks it to end, then insists. */
  async stop(): Promise<ProcessExit> {
    this.#child.kill('SIGTERM');
    const insist = setTimeout(() => this.#signalGroup('SIGKILL'), this.#graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(insist);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid !== undefined) await this.stop();
    this.#signalGroup('SIGKILL');
    this.#forget();
  }

  #readLines(onLine: (line: string) => void): void {
    let rest = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The group has ended.
    }
  }
}
