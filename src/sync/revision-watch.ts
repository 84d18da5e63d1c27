import type { Operation } from '../sad/index.ts';
import { AgentError } from '../util/index.ts';
import type { CallOptions, DataplanePort, OperationResult, RevisionReading } from './ports.ts';

/** Operations that a revision counts. */
function isChange(operation: Operation, result: OperationResult): boolean {
  return result.kind === 'ok' && !result.isUnchanged && operation.kind !== 'reserve-spi';
}

/**
 * Whether the dataplane still holds what a comparison found equal to desired, told by its revision
 * alone: it has to have grown by our own changes and nothing else.
 *
 *     unknown ─ anchor ─► counted ─ compared, no difference ─► equal
 *        ▲                                                       │
 *        └──── another revision than counted, or a doubt ────────┘
 *
 * Counting has to begin before the comparison's listings are asked for: what somebody else changes
 * between those and the first answer after them would never be seen otherwise.
 */
export class RevisionWatch {
  /** What it should be now, when nobody else changes anything. */
  #expected: bigint | undefined;
  #bootId: string | undefined;
  #isEqual = false;
  /** Another one after every doubt: a comparison that began before one says nothing. */
  #era = 0;

  /** The dataplane equals desired, unless its revision says otherwise. */
  get isEqual(): boolean {
    return this.#isEqual;
  }

  /** To be given to `foundEqual`; undefined while nothing is counted. */
  get era(): number | undefined {
    return this.#expected === undefined ? undefined : this.#era;
  }

  /** Something happened that only a comparison tells the outcome of. */
  doubt(): void {
    this.#expected = undefined;
    this.#isEqual = false;
    this.#era += 1;
  }

  /** A reading with no batch in flight, before, during or after it: starts counting, or checks the count. */
  read({ bootId, revision }: RevisionReading): void {
    if (this.#expected === undefined) {
      this.#expected = revision;
      this.#bootId = bootId;
    } else if (revision !== this.#expected || bootId !== this.#bootId) {
      this.doubt();
    }
  }

  /** A batch that was answered. */
  answered(operations: readonly Operation[], results: readonly OperationResult[], revision: bigint): void {
    if (this.#expected === undefined) return;
    for (const [index, operation] of operations.entries()) {
      const result = results[index];
      if (result !== undefined && isChange(operation, result)) this.#expected += 1n;
    }
    if (revision !== this.#expected) this.doubt();
  }

  /** A comparison that began in this era found no difference. */
  foundEqual(era: number | undefined): void {
    if (era !== undefined && era === this.#era && this.#expected !== undefined) this.#isEqual = true;
  }
}

export type CheckOptions = CallOptions & {
  readonly dataplane: Pick<DataplanePort, 'revision'>;
  /** The batches whose answers are counted. */
  readonly pipeline: { readonly isIdle: boolean; readonly totals: { readonly batches: number } };
};

/** Asks for the revision, when nothing of ours is under way: otherwise the answer to that tells it. */
export async function checkRevision(watch: RevisionWatch, options: CheckOptions): Promise<void> {
  const { dataplane, pipeline, signal } = options;
  const { batches } = pipeline.totals;
  if (!pipeline.isIdle) return;
  try {
    const reading = await dataplane.revision({ signal });
    if (pipeline.totals.batches === batches) watch.read(reading);
  } catch (error) {
    // A dataplane that cannot tell is listed every time.
    if (!(error instanceof AgentError) || error.code !== 'unsupported') throw error;
    watch.doubt();
  }
}
