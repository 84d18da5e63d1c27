import type { ActualSa, KeylessSa } from './actual.ts';
import { type IpAddress, type IpsecMode, type ReqId, type SaId, saKey } from './security-association.ts';
import { type PortRange, selectorKey } from './selector.ts';

/** One side of a selector, as far as it is told. Undefined: not compared. */
export type ObservedSelector = {
  readonly firstAddress: IpAddress;
  readonly lastAddress: IpAddress;
  readonly protocol: number | undefined;
  readonly ports: PortRange | undefined;
};

/**
 * An SA as somebody lists it who tells no keys, and not everything else: what is undefined is not
 * compared, nor are marks, lifetimes and what a listing has no word for.
 */
export type ObservedSa = {
  /** Without mark and if_id. */
  readonly id: SaId;
  readonly source: IpAddress;
  readonly mode: IpsecMode | undefined;
  readonly reqid: ReqId;
  /** IANA transform ids; `none`: there is no such transform. */
  readonly encryption: number | 'none' | undefined;
  readonly integrity: number | 'none' | undefined;
  readonly isUdpEncapsulated: boolean;
  readonly esn: boolean;
  readonly sourceSelectors: readonly ObservedSelector[] | undefined;
  readonly destinationSelectors: readonly ObservedSelector[] | undefined;
  /** False while it is on its way in or out: then it may be there or not. */
  readonly isSettled: boolean;
};

export type ObservedField =
  | 'source'
  | 'destination'
  | 'mode'
  | 'reqid'
  | 'encryption'
  | 'integrity'
  | 'udp-encapsulation'
  | 'esn'
  | 'source-selectors'
  | 'destination-selectors';

export type ObservedDelta = {
  /** Settled ones that are not held. */
  readonly missing: readonly ObservedSa[];
  /** Held, and not observed. */
  readonly unexpected: readonly ActualSa[];
  readonly different: readonly { readonly sa: ObservedSa; readonly fields: readonly ObservedField[] }[];
};

/** The key of an SA without what an observer does not see. */
export function observedKey({ direction, protocol, spi, destination }: SaId): string {
  return saKey({ direction, protocol, spi, destination });
}

function isSameTransform(observed: number | 'none' | undefined, actual: number | undefined): boolean {
  if (observed === undefined) return true;
  return observed === 'none' ? actual === undefined : observed === actual;
}

/** In any order; a protocol or ports that were not told match any. */
function isSameSelectors(
  observed: readonly ObservedSelector[] | undefined,
  actual: KeylessSa['sourceSelectors'],
): boolean {
  if (observed === undefined) return true;
  if (observed.length !== actual.length) return false;
  const left = new Map(actual.map((selector) => [selectorKey(selector), selector]));
  return observed.every(({ firstAddress, lastAddress, protocol, ports }) => {
    for (const [key, held] of left) {
      const isSame =
        held.firstAddress === firstAddress &&
        held.lastAddress === lastAddress &&
        (protocol === undefined || held.protocol === protocol) &&
        (ports === undefined || (held.ports.first === ports.first && held.ports.last === ports.last));
      if (isSame) return left.delete(key);
    }
    return false;
  });
}

/** In what a held SA differs from an observed one of the same direction, protocol and SPI. */
export function observedDifferences(observed: ObservedSa, { sa }: ActualSa): readonly ObservedField[] {
  const isSame: Readonly<Record<ObservedField, boolean>> = {
    source: observed.source === sa.source,
    destination: observed.id.destination === sa.id.destination,
    mode: observed.mode === undefined || observed.mode === sa.mode,
    reqid: observed.reqid === sa.reqid,
    encryption: isSameTransform(observed.encryption, sa.encryption),
    integrity: isSameTransform(observed.integrity, sa.integrity),
    'udp-encapsulation': observed.isUdpEncapsulated === (sa.udpEncapsulation !== undefined),
    esn: observed.esn === sa.esn,
    'source-selectors': isSameSelectors(observed.sourceSelectors, sa.sourceSelectors),
    'destination-selectors': isSameSelectors(observed.destinationSelectors, sa.destinationSelectors),
  };
  return FIELDS.filter((field) => !isSame[field]);
}

const FIELDS: readonly ObservedField[] = [
  ...(['source', 'destination', 'mode', 'reqid', 'encryption', 'integrity', 'udp-encapsulation'] as const),
  ...(['esn', 'source-selectors', 'destination-selectors'] as const),
];

/** Compares in time linear in the number of SAs. One that has moved is different, not gone and new. */
export function diffObserved(observed: Iterable<ObservedSa>, actual: Iterable<ActualSa>): ObservedDelta {
  const held = new Map<string, ActualSa>();
  for (const listed of actual) held.set(observedKey(listed.sa.id), listed);
  const different: { sa: ObservedSa; fields: readonly ObservedField[] }[] = [];
  const absent: ObservedSa[] = [];
  const compareWith = (sa: ObservedSa, listed: ActualSa): void => {
    held.delete(observedKey(listed.sa.id));
    const fields = observedDifferences(sa, listed);
    if (fields.length > 0) different.push({ sa, fields });
  };
  for (const sa of observed) {
    const listed = held.get(observedKey(sa.id));
    if (listed === undefined) absent.push(sa);
    else compareWith(sa, listed);
  }
  const elsewhere = new Map<string, ActualSa>();
  for (const listed of held.values()) elsewhere.set(withoutDestination(listed.sa.id), listed);
  const missing: ObservedSa[] = [];
  for (const sa of absent) {
    const listed = elsewhere.get(withoutDestination(sa.id));
    if (listed !== undefined && elsewhere.delete(withoutDestination(sa.id))) compareWith(sa, listed);
    else if (sa.isSettled) missing.push(sa);
  }
  return { missing, unexpected: [...held.values()], different };
}

function withoutDestination(id: SaId): string {
  return observedKey({ ...id, destination: '' });
}
