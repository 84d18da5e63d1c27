import { assertNever } from '../util/index.ts';
import type { ReplayState } from './actual.ts';
import {
  type IpAddress,
  type IpsecProtocol,
  type ReqId,
  type SaId,
  type SaKey,
  type SecurityAssociation,
  saKey,
  type UdpEncapsulation,
} from './security-association.ts';
import { type PolicyId, type PolicyKey, policyKey, type SecurityPolicy } from './security-policy.ts';

/** Where an SA moves to; its keys, sequence numbers, replay state and lifetimes stay. */
export type SaMove = {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Undefined: not encapsulated afterwards. */
  readonly udpEncapsulation: UdpEncapsulation | undefined;
  /** Undefined keeps it. */
  readonly reqid: ReqId | undefined;
};

/** What a dataplane is asked to do. A batch of them is applied in order, each on its own. */
export type Operation =
  | {
      readonly kind: 'add-sa';
      readonly sa: SecurityAssociation;
      /** What a reinstalled inbound SA starts with. */
      readonly replayState?: ReplayState | undefined;
    }
  | { readonly kind: 'update-sa'; readonly id: SaId; readonly move: SaMove }
  | { readonly kind: 'delete-sa'; readonly id: SaId }
  | { readonly kind: 'put-policy'; readonly policy: SecurityPolicy }
  | { readonly kind: 'delete-policy'; readonly id: PolicyId }
  | {
      readonly kind: 'reserve-spi';
      readonly protocol: IpsecProtocol;
      readonly source: IpAddress;
      readonly destination: IpAddress;
    };

/** Which entries an operation makes, changes or removes. */
export function operationKeys(operation: Operation): readonly (SaKey | PolicyKey)[] {
  switch (operation.kind) {
    case 'add-sa':
      return [saKey(operation.sa.id)];
    case 'update-sa':
      return [saKey(operation.id), saKey({ ...operation.id, destination: operation.move.destination })];
    case 'delete-sa':
      return [saKey(operation.id)];
    case 'put-policy':
      return [policyKey(operation.policy.id)];
    case 'delete-policy':
      return [policyKey(operation.id)];
    case 'reserve-spi':
      return [];
    default:
      return assertNever(operation, 'operation');
  }
}

/** An SA after `update-sa`; it shares its keys with the one before. */
export function moveSa(sa: SecurityAssociation, move: SaMove): SecurityAssociation {
  return {
    ...sa,
    id: { ...sa.id, destination: move.destination },
    source: move.source,
    udpEncapsulation: move.udpEncapsulation,
    reqid: move.reqid ?? sa.reqid,
  };
}
