import type { IpAddress, IpsecMode, IpsecProtocol, Mark, ReqId, Spi } from './security-association.ts';
import { selectorKey, type TrafficSelector } from './selector.ts';

declare const brand: unique symbol;

/** What identifies a policy as one string; made by `policyKey` only. */
export type PolicyKey = string & { readonly [brand]: 'PolicyKey' };

/** `forward` is charon's FWD: kept for its count, held by no dataplane here. */
export type PolicyDirection = 'inbound' | 'outbound' | 'forward';

/** A selector and a direction: what charon's users of one policy share. */
export type PolicyId = {
  readonly direction: PolicyDirection;
  readonly source: TrafficSelector;
  readonly destination: TrafficSelector;
  readonly mark?: Mark | undefined;
  readonly ifId?: number | undefined;
  readonly interface?: string | undefined;
  readonly label?: Uint8Array | undefined;
  /** As in `SecurityAssociation`. */
  readonly innerVrf?: string | undefined;
};

/** How a protect policy finds its SA; `spi` undefined is a trap. */
export type SaTemplate = {
  readonly protocol: IpsecProtocol;
  readonly mode: IpsecMode;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly spi: Spi | undefined;
  readonly reqid: ReqId;
};

export type PolicyAction =
  | { readonly kind: 'protect'; readonly template: SaTemplate }
  | { readonly kind: 'bypass' }
  | { readonly kind: 'discard' };

/** charon's priority classes, matched in this order. */
export type PriorityClass = 'pass' | 'default' | 'routed' | 'fallback';

/** One user of a policy: what one CHILD_SA, trap or shunt asked for. */
export type PolicyUser = {
  readonly id: PolicyId;
  readonly action: PolicyAction;
  readonly priorityClass: PriorityClass;
  /** 0: computed from the selector. */
  readonly manualPriority: number;
};

/** What the dataplane holds for a selector: its first user (RFC 4301, 4.4.1). */
export type SecurityPolicy = {
  readonly id: PolicyId;
  readonly action: PolicyAction;
  /** Lower is matched first. */
  readonly priority: number;
};

export function policyKey(id: PolicyId): PolicyKey {
  const rest = [
    id.mark === undefined ? '' : ` mark ${id.mark.value}/${id.mark.mask}`,
    id.ifId === undefined ? '' : ` if_id ${id.ifId}`,
    id.interface === undefined ? '' : ` interface ${id.interface}`,
    id.label === undefined ? '' : ` label ${Buffer.from(id.label).toString('hex')}`,
    id.innerVrf === undefined ? '' : ` vrf ${id.innerVrf}`,
  ].join('');
  return `${id.direction} ${selectorKey(id.source)} ${selectorKey(id.destination)}${rest}` as PolicyKey;
}
