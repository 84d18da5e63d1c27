import type {
  KeylessSa,
  PolicyAction,
  PolicyId,
  SaId,
  SecurityAssociation,
  TrafficSelector,
} from '../../../src/sad/index.ts';

// Written anew and not taken from src/sad: a mistake there must not be one here too.

/** What an SA is called (RFC 4301, 4.1): no reqid, no key. */
export function saName({ direction, protocol, spi, destination }: SaId): string {
  return `${direction === 'inbound' ? 'in' : 'out'} ${protocol} ${spi.toString(16)} to ${destination}`;
}

function selectorName({ firstAddress, lastAddress, protocol, ports }: TrafficSelector): string {
  return `${firstAddress}-${lastAddress}:${protocol}:${ports.first}-${ports.last}`;
}

/** What a policy is called: direction and selectors. */
export function policyName({ direction, source, destination }: PolicyId): string {
  return `${direction} policy ${selectorName(source)} > ${selectorName(destination)}`;
}

/** A policy's action in full. */
export function actionName(action: PolicyAction): string {
  if (action.kind !== 'protect') return action.kind;
  const { protocol, mode, source, destination, spi, reqid } = action.template;
  return `protect ${protocol} ${mode} ${source}>${destination} spi ${spi?.toString(16)} reqid ${reqid}`;
}

/** What of an SA has to be the same for a second add to be a repetition: no times, no key. */
export function parametersOf(sa: KeylessSa): string {
  return JSON.stringify({ ...sa, softLifetime: undefined, hardLifetime: undefined });
}

export function withoutKeys(sa: SecurityAssociation): KeylessSa {
  return { ...sa, encryption: sa.encryption?.id, integrity: sa.integrity?.id };
}

/** The key in hex, for comparing; undefined when it was wiped. */
export function keyOf({ encryption }: SecurityAssociation): string | undefined {
  if (encryption === undefined || encryption.key.isWiped) return undefined;
  return encryption.key.reveal((bytes) => Buffer.from(bytes).toString('hex'));
}
