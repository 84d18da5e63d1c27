import { readFileSync, statSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Operation, ResultCode } from '../proto/index.ts';
import { AgentError, errorMessage, type Logger } from '../util/index.ts';
import { parseDirection } from './sa-request.ts';

const operations = [
  'add_sa',
  'update_sa',
  'delete_sa',
  'put_policy',
  'delete_policy',
  'reserve_spi',
] as const;

/** The codes a drill can answer with, by their names in the contract without the prefix. */
const codes = {
  invalid: ResultCode.RESULT_CODE_INVALID,
  unsupported_algorithm: ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM,
  unsupported_feature: ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
  unsupported_mode: ResultCode.RESULT_CODE_UNSUPPORTED_MODE,
  unsupported_address_family: ResultCode.RESULT_CODE_UNSUPPORTED_ADDRESS_FAMILY,
  unsupported_protocol: ResultCode.RESULT_CODE_UNSUPPORTED_PROTOCOL,
  spi_collision: ResultCode.RESULT_CODE_SPI_COLLISION,
  capacity: ResultCode.RESULT_CODE_CAPACITY,
  not_found: ResultCode.RESULT_CODE_NOT_FOUND,
  temporary: ResultCode.RESULT_CODE_TEMPORARY,
  internal: ResultCode.RESULT_CODE_INTERNAL,
} as const;

const codeNames = [
  'invalid',
  'unsupported_algorithm',
  'unsupported_feature',
  'unsupported_mode',
  'unsupported_address_family',
  'unsupported_protocol',
  'spi_collision',
  'capacity',
  'not_found',
  'temporary',
  'internal',
] as const satisfies readonly (keyof typeof codes)[];

/** The drills file: refusals to rehearse what a peer and an operator see when a dataplane says no. */
export const drillsSchema = z.strictObject({
  refuse: z
    .array(
      z.strictObject({
        operation: z.enum(operations),
        /** Only SAs or policies of this direction. */
        direction: z.enum(['inbound', 'outbound']).optional(),
        code: z.enum(codeNames),
        message: z.string().default('refused by a drill'),
        /** Lets so many through first. */
        skip: z.int().min(0).default(0),
        /** Refuses so many, then no more. */
        count: z.int().min(1).optional(),
      }),
    )
    .default([]),
});

type Drill = z.output<typeof drillsSchema>['refuse'][number];

export type DrillRefusal = { readonly code: ResultCode; readonly message: string };

type Subject = {
  readonly operation: (typeof operations)[number];
  readonly direction: 'inbound' | 'outbound' | undefined;
};

function directionOf(direction: Parameters<typeof parseDirection>[0] | undefined): Subject['direction'] {
  if (direction === undefined) return undefined;
  return parseDirection(direction) ? 'inbound' : 'outbound';
}

function subjectOf(operation: Operation): Subject | undefined {
  const { addSa, updateSa, deleteSa, putPolicy, deletePolicy, reserveSpi } = operation;
  if (addSa) return { operation: 'add_sa', direction: directionOf(addSa.sa?.id?.direction) };
  if (updateSa) return { operation: 'update_sa', direction: directionOf(updateSa.id?.direction) };
  if (deleteSa) return { operation: 'delete_sa', direction: directionOf(deleteSa.id?.direction) };
  if (putPolicy) return { operation: 'put_policy', direction: directionOf(putPolicy.policy?.id?.direction) };
  if (deletePolicy) return { operation: 'delete_policy', direction: directionOf(deletePolicy.id?.direction) };
  if (reserveSpi) return { operation: 'reserve_spi', direction: 'inbound' };
  return undefined;
}

/**
 * Refusals on demand, for drills. The file is looked at before every batch and read again when it has
 * changed, so that a drill is in force as soon as its file is in place (put it there by renaming).
 */
export class Drills {
  readonly #path: string;
  readonly #logger: Logger;
  #version: string;
  #drills: { readonly drill: Drill; seen: number }[] = [];

  /** @throws AgentError when the file is there and wrong. */
  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
    this.#version = this.#fileVersion();
    this.#load();
  }

  /** Reads the file if it changed; one that is wrong meanwhile ends all drills, with an error in the log. */
  refresh(): void {
    const version = this.#fileVersion();
    if (version === this.#version) return;
    this.#version = version;
    try {
      this.#load();
      this.#logger.warn({ path: this.#path, drills: this.#drills.length }, 'refusal drills changed');
    } catch (error) {
      this.#logger.error({ reason: errorMessage(error) }, 'refusal drills are wrong: none is in force');
    }
  }

  /** Why this operation is to be refused, if it is. */
  refusal(operation: Operation): DrillRefusal | undefined {
    if (this.#drills.length === 0) return undefined;
    const subject = subjectOf(operation);
    for (const entry of this.#drills) {
      const { drill } = entry;
      if (subject?.operation !== drill.operation) continue;
      if (drill.direction !== undefined && drill.direction !== subject.direction) continue;
      entry.seen += 1;
      const refused = entry.seen - drill.skip;
      if (refused < 1 || refused > (drill.count ?? Number.POSITIVE_INFINITY)) continue;
      return { code: codes[drill.code], message: drill.message };
    }
    return undefined;
  }

  /** Empty when there is no file. */
  #fileVersion(): string {
    const stat = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? '' : `${stat.ino} ${stat.mtimeNs} ${stat.size}`;
  }

  #load(): void {
    this.#drills = [];
    if (this.#version === '') return;
    try {
      const { refuse } = drillsSchema.parse(parse(readFileSync(this.#path, 'utf8')) ?? {});
      this.#drills = refuse.map((drill) => ({ drill, seen: 0 }));
    } catch (cause) {
      const why = cause instanceof z.ZodError ? z.prettifyError(cause) : errorMessage(cause);
      throw new AgentError(`drills file ${this.#path}: ${why}`, { code: 'invalid-input', cause });
    }
  }
}
