import { type Operation, operationKeys } from '../sad/index.ts';
import type { OperationResult } from './ports.ts';
import type { CycleSummary } from './status.ts';
import { isEffective } from './work.ts';

type Totals = { -readonly [Field in keyof CycleSummary]: CycleSummary[Field] };

/** Adds what one operation did to the totals. */
export function countOperation(totals: Totals, operation: Operation, result: OperationResult): void {
  if (!isEffective(operation, result)) totals.failed += 1;
  else if (result.kind === 'refused' || result.isUnchanged) return;
  else if (operation.kind === 'add-sa') totals.added += 1;
  else if (operation.kind === 'delete-sa' || operation.kind === 'delete-policy') totals.deleted += 1;
  else if (operation.kind !== 'reserve-spi') totals.updated += 1;
}

export function emptyTotals(): Totals {
  return { added: 0, updated: 0, deleted: 0, failed: 0, unknown: 0 };
}

/** A plan on its way, batch by batch, behind the requests. Ended when every operation was tried or dropped. */
export class PlanRun {
  readonly ended: Promise<CycleSummary>;
  readonly #totals = emptyTotals();
  readonly #end: (summary: CycleSummary) => void;
  readonly #touched: ReadonlySet<string>;
  readonly #operations: readonly Operation[];
  /** The first one that was not taken yet. */
  #next = 0;
  #inFlight = 0;

  constructor(operations: readonly Operation[], touched: ReadonlySet<string>) {
    this.#touched = touched;
    const { promise, resolve } = Promise.withResolvers<CycleSummary>();
    this.ended = promise;
    this.#end = resolve;
    this.#operations = operations;
    this.#endIfDone();
  }

  /** Operations that were not taken yet. */
  get left(): number {
    return this.#operations.length - this.#next;
  }

  /** The next operations to send; those on entries that were touched are forgotten. */
  take(limit: number): readonly Operation[] {
    const taken: Operation[] = [];
    while (taken.length < limit) {
      const operation = this.#operations[this.#next];
      if (operation === undefined) break;
      this.#next += 1;
      if (!operationKeys(operation).some((key) => this.#touched.has(key))) taken.push(operation);
    }
    this.#inFlight = taken.length;
    this.#endIfDone();
    return taken;
  }

  /** The answer to one taken operation; undefined is no answer. */
  note(operation: Operation, result: OperationResult | undefined): void {
    this.#inFlight -= 1;
    if (result === undefined) this.#totals.unknown += 1;
    else countOperation(this.#totals, operation, result);
    this.#endIfDone();
  }

  /** Forgets what was not sent yet. */
  drop(): void {
    this.#next = this.#operations.length;
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.left === 0 && this.#inFlight === 0) this.#end(this.#totals);
  }
}
