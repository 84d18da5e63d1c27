import type {
  IpAddress,
  IpsecProtocol,
  PolicyUser,
  SaId,
  SaMove,
  SecurityAssociation,
  Spi,
} from '../sad/index.ts';
import type { RefusalCode } from './ports.ts';

/** What charon waits for. The engine owns the keys of an SA it is given, and wipes them. */
export type SyncRequest =
  | {
      readonly kind: 'reserve-spi';
      readonly protocol: IpsecProtocol;
      readonly source: IpAddress;
      readonly destination: IpAddress;
    }
  | { readonly kind: 'add-sa'; readonly sa: SecurityAssociation }
  | { readonly kind: 'update-sa'; readonly id: SaId; readonly move: SaMove }
  | { readonly kind: 'add-policy'; readonly user: PolicyUser };

/** What charon has done and waits for nobody about. */
export type SyncChange =
  /** A forward policy, which no dataplane holds, or a shunt that came while nobody could be asked. */
  | { readonly kind: 'add-policy'; readonly user: PolicyUser }
  /** Back to where it was. */
  | { readonly kind: 'update-sa'; readonly id: SaId; readonly move: SaMove }
  | { readonly kind: 'delete-sa'; readonly id: SaId }
  | { readonly kind: 'delete-policy'; readonly user: PolicyUser }
  | { readonly kind: 'flush-sas' }
  | { readonly kind: 'flush-policies' };

export type SyncAnswer =
  /** Effective in the dataplane. */
  | { readonly kind: 'ok'; readonly spi?: Spi | undefined }
  /** It will not work. */
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly reason: string }
  /** It did not work for a passing reason; nothing of it is left, or what is left is being undone. */
  | { readonly kind: 'try-again'; readonly code: RefusalCode | 'unavailable'; readonly reason: string };

/** Why charon could not set up a CHILD_SA, which it does not try again. */
export type SetupFailure = {
  /** Whether it may work another time. */
  readonly isPassing: boolean;
  readonly reason: string;
};

/** Everything one charon has, in the order of installation. */
export type DesiredSnapshot = {
  readonly sas: readonly SecurityAssociation[];
  readonly policyUsers: readonly PolicyUser[];
};

/** Whether requests can be answered. */
export type Readiness =
  | {
      readonly kind: 'ready';
      readonly routeInterface: string | undefined;
      readonly ackLatencyUs: number;
    }
  | { readonly kind: 'not-ready'; readonly reason: string };
