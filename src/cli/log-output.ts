import { writeSync } from 'node:fs';

/** Writes what it can and says how many bytes that was; throws when it could write nothing. */
export type WriteBytes = (bytes: Uint8Array) => number;

const STDERR = 2;

/** What is told of lines that were not written, as a complete line. */
export type LossReport = (lines: number) => string;

/**
 * Where log lines go, in order and at once. A log that cannot be written (a full disk, a reader that
 * went away) is no reason to end, nor to keep lines in memory: they are dropped, counted, and told of
 * when there is room again.
 */
export class LogOutput {
  readonly #write: WriteBytes;
  readonly #report: LossReport;
  #lost = 0;
  #isMidLine = false;

  constructor(report: LossReport, write: WriteBytes = (bytes) => writeSync(STDERR, bytes)) {
    this.#report = report;
    this.#write = write;
  }

  /** pino's destination. */
  write(line: string): void {
    const lost = this.#lost;
    if (lost > 0) {
      if (!this.#isWritten(`${this.#isMidLine ? '\n' : ''}${this.#report(lost)}`)) {
        this.#lost = lost + 1;
        return;
      }
      this.#lost = 0;
    }
    if (!this.#isWritten(line)) this.#lost += 1;
  }

  #isWritten(text: string): boolean {
    let left: Uint8Array = Buffer.from(text);
    try {
      while (left.length > 0) {
        const count = this.#write(left);
        this.#isMidLine = count < left.length;
        left = left.subarray(count);
      }
      return true;
    } catch {
      // Nobody can be told: standard error is what failed.
      return false;
    }
  }
}
