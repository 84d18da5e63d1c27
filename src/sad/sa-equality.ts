import type { ActualSa, KeylessSa } from './actual.ts';
import type { Mark, SecurityAssociation, UdpEncapsulation } from './security-association.ts';
import { isSameSelector, selectorKey, type TrafficSelector } from './selector.ts';

/**
 * The fingerprint of an SA's keys as hex, under the nonce the listing was asked with:
 * HMAC-SHA-256 over u16be length | encryption key | u16be length | integrity key.
 */
export type FingerprintOf = (sa: SecurityAssociation) => string;

/** What an SA is about, apart from its identity and lifetimes. */
export type SaField =
  | 'source'
  | 'mode'
  | 'reqid'
  | 'encryption'
  | 'integrity'
  | 'key'
  | 'udp-encapsulation'
  | 'replay-window'
  | 'esn'
  | 'source-selectors'
  | 'destination-selectors'
  | 'copy-df'
  | 'copy-ecn'
  | 'copy-dscp'
  | 'tfc'
  | 'ipcomp'
  | 'set-mark'
  | 'inner-vrf'
  | 'interface'
  | 'label'
  | 'cpu'
  | 'hw-offload';

/** What `update-sa` can change in place. */
export const MOVABLE_FIELDS: ReadonlySet<SaField> = new Set(['source', 'reqid', 'udp-encapsulation']);

function isSameMark(a: Mark | undefined, b: Mark | undefined): boolean {
  return a?.value === b?.value && a?.mask === b?.mask;
}

function isSameEncapsulation(a: UdpEncapsulation | undefined, b: UdpEncapsulation | undefined): boolean {
  return a?.sourcePort === b?.sourcePort && a?.destinationPort === b?.destinationPort;
}

function isSameLabel(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Their order means nothing, but is usually the same. */
function isSameSelectors(a: readonly TrafficSelector[], b: readonly TrafficSelector[]): boolean {
  if (a.length !== b.length) return false;
  const isSameAt = (selector: TrafficSelector, index: number): boolean => {
    const other = b[index];
    return other !== undefined && isSameSelector(selector, other);
  };
  if (a.every(isSameAt)) return true;
  const keys = new Set(a.map(selectorKey));
  return b.every((selector) => keys.has(selectorKey(selector)));
}

type Comparison = (desired: SecurityAssociation, actual: KeylessSa) => boolean;

const COMPARISONS: Readonly<Record<Exclude<SaField, 'key'>, Comparison>> = {
  source: (a, b) => a.source === b.source,
  mode: (a, b) => a.mode === b.mode,
  reqid: (a, b) => a.reqid === b.reqid,
  encryption: (a, b) => a.encryption?.id === b.encryption,
  integrity: (a, b) => a.integrity?.id === b.integrity,
  'udp-encapsulation': (a, b) => isSameEncapsulation(a.udpEncapsulation, b.udpEncapsulation),
  'replay-window': (a, b) => a.replayWindow === b.replayWindow,
  esn: (a, b) => a.esn === b.esn,
  'source-selectors': (a, b) => isSameSelectors(a.sourceSelectors, b.sourceSelectors),
  'destination-selectors': (a, b) => isSameSelectors(a.destinationSelectors, b.destinationSelectors),
  'copy-df': (a, b) => a.copyDf === b.copyDf,
  'copy-ecn': (a, b) => a.copyEcn === b.copyEcn,
  'copy-dscp': (a, b) => a.copyDscp === b.copyDscp,
  tfc: (a, b) => a.tfc === b.tfc,
  ipcomp: (a, b) => a.ipcomp === b.ipcomp,
  'set-mark': (a, b) => isSameMark(a.setMark, b.setMark),
  'inner-vrf': (a, b) => a.innerVrf === b.innerVrf,
  interface: (a, b) => a.interface === b.interface,
  label: (a, b) => isSameLabel(a.label, b.label),
  cpu: (a, b) => a.cpu === b.cpu,
  'hw-offload': (a, b) => a.hwOffload === b.hwOffload,
};

function isAttribute(field: string): field is keyof typeof COMPARISONS {
  return field in COMPARISONS;
}

const ATTRIBUTES = Object.keys(COMPARISONS).filter(isAttribute);

/**
 * In what a listed SA differs from a desired one of the same id. Lifetimes are not
 * compared: they count from an installation each. Keys are compared by fingerprint;
 * one that was not listed counts as different.
 */
export function saDifferences(
  desired: SecurityAssociation,
  actual: ActualSa,
  fingerprintOf: FingerprintOf,
): readonly SaField[] {
  const fields: SaField[] = ATTRIBUTES.filter((field) => !COMPARISONS[field](desired, actual.sa));
  if (actual.keyFingerprint !== fingerprintOf(desired)) fields.push('key');
  return fields;
}
