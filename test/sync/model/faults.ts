import type { Operation } from '../../../src/sad/index.ts';
import type { RefusalCode } from '../../../src/sync/index.ts';

/** What goes wrong with one call. `on`: the first batch with such an operation. */
export type Fault =
  | {
      readonly call: 'apply';
      readonly kind: 'refused';
      readonly on: Operation['kind'];
      readonly code: RefusalCode;
    }
  /** The batch gets lost, or its answer does. */
  | {
      readonly call: 'apply';
      readonly kind: 'lost';
      readonly on: Operation['kind'];
      readonly what: 'request' | 'answer';
    }
  /** The batch arrives late, or its answer does. */
  | {
      readonly call: 'apply';
      readonly kind: 'late';
      readonly on: Operation['kind'];
      readonly what: 'request' | 'answer';
      readonly delayMs: number;
    }
  | { readonly call: 'acquire'; readonly kind: 'failed' }
  | { readonly call: 'acquire'; readonly kind: 'lost'; readonly what: 'request' | 'answer' }
  | {
      readonly call: 'acquire';
      readonly kind: 'late';
      readonly what: 'request' | 'answer';
      readonly delayMs: number;
    }
  | { readonly call: 'list'; readonly kind: 'failed' }
  /** A listing of before what happens meanwhile, or of after it. */
  | {
      readonly call: 'list';
      readonly kind: 'late';
      readonly what: 'request' | 'answer';
      readonly delayMs: number;
    }
  | { readonly call: 'connect'; readonly kind: 'failed' }
  | { readonly call: 'event'; readonly kind: 'twice' | 'lost' }
  | { readonly call: 'event'; readonly kind: 'late'; readonly delayMs: number }
  | { readonly call: 'vici'; readonly kind: 'failed' }
  | { readonly call: 'vici'; readonly kind: 'late'; readonly delayMs: number };

type FaultOf<Call extends Fault['call']> = Extract<Fault, { readonly call: Call }>;

function isOf<Call extends Fault['call']>(fault: Fault, call: Call): fault is FaultOf<Call> {
  return fault.call === call;
}

/** Faults waiting for their call. */
export class FaultPlan {
  readonly #onFault: (fault: Fault) => void;
  #faults: Fault[] = [];

  /** `onFault`: called when one happens. */
  constructor(onFault: (fault: Fault) => void) {
    this.#onFault = onFault;
  }

  add(fault: Fault): void {
    this.#faults.push(fault);
  }

  clear(): void {
    this.#faults = [];
  }

  /** The first fault of such a call, if it is about one of these operations; it happens once. */
  take<Call extends Fault['call']>(
    call: Call,
    operations: readonly Operation['kind'][] = [],
  ): FaultOf<Call> | undefined {
    for (const fault of this.#faults) {
      if (!isOf(fault, call)) continue;
      if ('on' in fault && !operations.includes(fault.on)) continue;
      this.#faults = this.#faults.filter((other) => other !== fault);
      this.#onFault(fault);
      return fault;
    }
    return undefined;
  }
}
