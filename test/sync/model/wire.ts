import type { KeylessSa, Operation, ReplayState } from '../../../src/sad/index.ts';
import { keyOf, policyName, saName, withoutKeys } from './names.ts';

type AddSa = {
  readonly kind: 'add-sa';
  readonly sa: KeylessSa;
  /** Hex. */
  readonly key: string;
  readonly replayState: ReplayState | undefined;
};

/** An operation as it travels: with a copy of the key, made when it is sent. */
export type WireOperation = AddSa | Exclude<Operation, { readonly kind: 'add-sa' }>;

/** What a key that was wiped too early looks like on the wire. */
export const WIPED = 'wiped';

export function toWire(operation: Operation): WireOperation {
  if (operation.kind !== 'add-sa') return operation;
  const { sa, replayState } = operation;
  return { kind: 'add-sa', sa: withoutKeys(sa), key: keyOf(sa) ?? WIPED, replayState };
}

/** The entries an operation is about. */
export function entriesOf(operation: WireOperation): readonly string[] {
  switch (operation.kind) {
    case 'add-sa':
      return [saName(operation.sa.id)];
    case 'update-sa':
    case 'delete-sa':
      return [saName(operation.id)];
    case 'put-policy':
      return [policyName(operation.policy.id)];
    case 'delete-policy':
      return [policyName(operation.id)];
    case 'reserve-spi':
      return [];
  }
}
