import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onExit } from './exit-hooks.ts';

const PREFIX = 'lagopus-';
const KEPT_PREFIX = 'lagopus-kept-';

/**
 * A private directory (0700) that goes away with its owner; with LAGOPUS_KEEP set it stays, and its
 * path is printed.
 */
export class TempDir implements AsyncDisposable {
  readonly path: string;
  readonly #isKept: boolean;
  readonly #forget: () => void;

  constructor() {
    this.#isKept = process.env.LAGOPUS_KEEP !== undefined;
    const prefix = this.#isKept ? KEPT_PREFIX : PREFIX;
    this.path = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
    if (this.#isKept) process.stderr.write(`kept: ${this.path}\n`);
    this.#forget = this.#isKept
      ? () => undefined
      : onExit(() => rmSync(this.path, { recursive: true, force: true }));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isKept) return;
    await rm(this.path, { recursive: true, force: true });
    this.#forget();
  }
}

/** Removes the directories of test processes that were killed outright. */
export function sweepTempDirs(isAlive: (pid: number) => boolean): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = /^lagopus-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
}
