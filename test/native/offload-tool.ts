import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { inRepository } from '../support/index.ts';

const SOURCES = [
  'sa.c',
  'outer.c',
  'esp.c',
  'ah.c',
  'mute.c',
  'ip.c',
  'ipv4.c',
  'ipv6.c',
  'replay.c',
  'transform.c',
  'transform-aead.c',
  'transform-mac.c',
  'split.c',
  'coalesce.c',
];
const SANITIZE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** The addon's pure parts as a process of their own, under the address and undefined-behaviour sanitizers. */
export class OffloadTool {
  readonly #program: string;

  constructor() {
    const dir = inRepository('build', 'test-tools');
    this.#program = join(dir, 'offload-tool');
    mkdirSync(dir, { recursive: true });
    const sources = SOURCES.map((name) => inRepository('native', name));
    execFileSync('gcc', [
      ...['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', ...SANITIZE, '-o', this.#program],
      ...[inRepository('test', 'native', 'offload-tool.c'), ...sources, '-lcrypto'],
    ]);
  }

  /** Throws with the sanitizer's report when it found something. */
  run(args: readonly string[], records: readonly Buffer[]): readonly Buffer[] {
    const input = Buffer.concat(records.flatMap((record) => [lengthOf(record), record]));
    const output = execFileSync(this.#program, args, { input, maxBuffer: 1 << 28 });
    const out: Buffer[] = [];
    for (let at = 0; at < output.length; ) {
      const end = at + 4 + output.readUInt32BE(at);
      out.push(output.subarray(at + 4, end));
      at = end;
    }
    return out;
  }
}

function lengthOf(record: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(record.length);
  return header;
}
