import type { ReplayState } from './actual.ts';
import type {
  IpAddress,
  IpsecProtocol,
  ReqId,
  SaId,
  SecurityAssociation,
  UdpEncapsulation,
} from './security-association.ts';
import type { PolicyId, SecurityPolicy } from './security-policy.ts';

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
