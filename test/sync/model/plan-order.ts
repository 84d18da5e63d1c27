import { saName } from './names.ts';
import { entriesOf, type WireOperation } from './wire.ts';

const MAKE_BEFORE_BREAK = [
  'install inbound',
  'install outbound',
  'put',
  'delete policy',
  'delete outbound',
  'delete inbound',
];
const POLICIES_FIRST = [
  'put secure',
  'install inbound',
  'install outbound',
  'put bypass',
  'delete policy',
  'delete outbound',
  'delete inbound',
];

/**
 * Whether the repairs after one listing go in the right order. Requests go in charon's; they are told
 * apart by what was asked for.
 */
export class PlanOrderWatch {
  readonly #violate: (what: string) => void;
  readonly #asked = new Map<string, number>();
  #last = -1;

  constructor(violate: (what: string) => void) {
    this.#violate = violate;
  }

  asked(entry: string): void {
    this.#asked.set(entry, (this.#asked.get(entry) ?? 0) + 1);
  }

  startsComparison(): void {
    this.#last = -1;
  }

  /**
   * `isCompared`: there was a comparison since the dataplane booted, or the agent began. `isWanted`:
   * whether an SA of this name is desired. Gives whether it is a repair.
   */
  sends(batch: readonly WireOperation[], isCompared: boolean, isWanted: (name: string) => boolean): boolean {
    if (this.#isAsked(batch)) return false;
    const order = isCompared ? MAKE_BEFORE_BREAK : POLICIES_FIRST;
    for (const operation of batch) {
      // One of the right name that is to be another: replaced early, or removed late.
      if (operation.kind === 'delete-sa' && isWanted(saName(operation.id))) continue;
      const phase = phaseOf(operation);
      const place = order.findIndex((name) => phase.startsWith(name));
      if (place < this.#last) {
        this.#violate(`${phase} after ${order[this.#last]} (${entriesOf(operation).join()})`);
      }
      this.#last = place;
    }
    return true;
  }

  #isAsked(batch: readonly WireOperation[]): boolean {
    const entries = batch.flatMap(entriesOf);
    if (!entries.every((entry) => (this.#asked.get(entry) ?? 0) > 0)) return false;
    for (const entry of entries) this.#asked.set(entry, (this.#asked.get(entry) ?? 0) - 1);
    return true;
  }
}

function phaseOf(operation: WireOperation): string {
  switch (operation.kind) {
    case 'add-sa':
      return `install ${operation.sa.id.direction}`;
    case 'update-sa':
      return `install ${operation.id.direction}`;
    case 'delete-sa':
      return `delete ${operation.id.direction}`;
    case 'put-policy':
      return `put ${operation.policy.action.kind === 'bypass' ? 'bypass' : 'secure'}`;
    case 'delete-policy':
      return 'delete policy';
    case 'reserve-spi':
      return 'reserve';
  }
}
