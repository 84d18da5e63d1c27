import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { inRepository } from '../support/index.ts';

const SANITIZE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** A record of the tools: a length, and so many bytes. */
function record(bytes: Buffer): readonly Buffer[] {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(bytes.length);
  return [header, bytes];
}

/**
 * A C program of this folder over parts of the addon, under the address and undefined-behaviour sanitizers.
 * Links the machine's own OpenSSL, not Node's.
 */
export class SanitizedTool {
  readonly #program: string;

  /** `name`.c, and sources of native/. */
  constructor(name: string, sources: readonly string[], flags: readonly string[] = []) {
    const dir = inRepository('build', 'test-tools');
    this.#program = join(dir, name);
    mkdirSync(dir, { recursive: true });
    execFileSync('gcc', [
      ...['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', ...SANITIZE, ...flags, '-o', this.#program],
      inRepository('test', 'native', `${name}.c`),
      ...sources.map((source) => inRepository('native', source)),
      '-lcrypto',
    ]);
  }

  /** What it writes. Throws with the sanitizer's report when it found something. */
  runText(args: readonly string[]): string {
    return execFileSync(this.#program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Records in, records out. */
  run(args: readonly string[], records: readonly Buffer[]): readonly Buffer[] {
    const input = Buffer.concat(records.flatMap(record));
    const output = execFileSync(this.#program, args, { input, maxBuffer: 1 << 28, timeout: 20_000 });
    const out: Buffer[] = [];
    for (let at = 0; at < output.length; ) {
      const end = at + 4 + output.readUInt32BE(at);
      out.push(output.subarray(at + 4, end));
      at = end;
    }
    return out;
  }
}
