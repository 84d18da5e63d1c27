import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { Policy, Sa } from '../../proto/index.ts';
import type { Author } from '../../server/index.ts';
import { AgentError, errorMessage } from '../../util/index.ts';

const authored = { owner: z.string(), charon: z.string() } as const;

const journalSchema = z.strictObject({
  version: z.literal(1),
  boot: z.string(),
  /** Messages of the contract in base64, without keys. */
  sas: z.array(z.strictObject({ ...authored, sa: z.string() })),
  policies: z.array(z.strictObject({ ...authored, policy: z.string(), isThere: z.boolean().default(true) })),
});

export type JournalSa = Author & { readonly sa: Sa };
export type JournalPolicy = Author & {
  readonly policy: Policy;
  /** False: it was on its way into vsw, or waited for an SA. */
  readonly isThere: boolean;
};

export type JournalEntries = {
  readonly bootId: Buffer;
  readonly sas: readonly JournalSa[];
  readonly policies: readonly JournalPolicy[];
};

function author({ owner, charon }: { owner: string; charon: string }): Author {
  return { owner, charonInstanceId: Buffer.from(charon, 'hex') };
}

function authorFields({ owner, charonInstanceId }: Author): { owner: string; charon: string } {
  return { owner, charon: Buffer.from(charonInstanceId).toString('hex') };
}

/**
 * What of vsw is ours, for the next life of this process: vsw cannot store whose an entry is. Never holds a
 * key. Written whole, in one step.
 */
export class Journal {
  static readonly nothing: JournalEntries = { bootId: Buffer.alloc(0), sas: [], policies: [] };
  readonly #path: string;
  readonly #entries: () => JournalEntries;
  readonly #onFailure: (reason: string) => void;
  #timer: NodeJS.Immediate | undefined;
  #isClosed = false;

  /** @param entries what is to be written, asked for when it is time */
  constructor(path: string, entries: () => JournalEntries, onFailure: (reason: string) => void) {
    this.#path = path;
    this.#entries = entries;
    this.#onFailure = onFailure;
  }

  /** @throws AgentError when there is one that cannot be read */
  static read(path: string): JournalEntries {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return Journal.nothing;
      throw new AgentError(`journal ${path}: ${errorMessage(cause)}`, { code: 'invalid-input', cause });
    }
    try {
      const { boot, sas, policies } = journalSchema.parse(JSON.parse(text));
      return {
        bootId: Buffer.from(boot, 'hex'),
        sas: sas.map((entry) => ({ ...author(entry), sa: Sa.decode(Buffer.from(entry.sa, 'base64')) })),
        policies: policies.map((entry) => ({
          ...author(entry),
          isThere: entry.isThere,
          policy: Policy.decode(Buffer.from(entry.policy, 'base64')),
        })),
      };
    } catch (cause) {
      const why = cause instanceof z.ZodError ? z.prettifyError(cause) : errorMessage(cause);
      throw new AgentError(
        `journal ${path}: ${why}. Without it nobody knows which SAs of vsw are ours: restart vsw, remove it, ` +
          'and start again',
        { code: 'invalid-input', cause },
      );
    }
  }

  /** Something changed: it is written before long. */
  touch(): void {
    if (this.#isClosed) return;
    this.#timer ??= setImmediate(() => {
      this.#timer = undefined;
      this.write();
    });
  }

  write(): void {
    const { bootId, sas, policies } = this.#entries();
    const file: z.input<typeof journalSchema> = {
      version: 1,
      boot: bootId.toString('hex'),
      sas: sas.map((entry) => ({
        ...authorFields(entry),
        sa: Buffer.from(Sa.encode(entry.sa).finish()).toString('base64'),
      })),
      policies: policies.map((entry) => ({
        ...authorFields(entry),
        isThere: entry.isThere,
        policy: Buffer.from(Policy.encode(entry.policy).finish()).toString('base64'),
      })),
    };
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      const fresh = `${this.#path}.new`;
      writeFileSync(fresh, JSON.stringify(file), { mode: 0o600 });
      renameSync(fresh, this.#path);
    } catch (error) {
      this.#onFailure(errorMessage(error));
    }
  }

  /** What changes from now on is the next life's. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer === undefined) return;
    clearImmediate(this.#timer);
    this.#timer = undefined;
    this.write();
  }
}
