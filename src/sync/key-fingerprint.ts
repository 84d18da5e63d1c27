import { createHmac, createSecretKey } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FingerprintOf, SecurityAssociation } from '../sad/index.ts';
import type { SecretBytes } from '../util/index.ts';

/** Fingerprints computed in one go; a turn for requests comes after that. */
const SLICE = 128;

/**
 * The contract's key fingerprint, in hex: HMAC-SHA-256 under `nonce` over
 * u16be length | encryption key | u16be length | integrity key.
 */
export function fingerprinter(nonce: Uint8Array): FingerprintOf {
  const key = createSecretKey(nonce);
  return ({ encryption, integrity }: SecurityAssociation): string => {
    const data = Buffer.alloc(4 + lengthOf(encryption?.key) + lengthOf(integrity?.key));
    const end = putKey(data, 0, encryption?.key);
    putKey(data, end, integrity?.key);
    const digest = createHmac('sha256', key).update(data).digest('hex');
    data.fill(0);
    return digest;
  };
}

/**
 * A fingerprinter that has most answers ready: computed in slices, with requests getting
 * their turn in between. `isCurrent` tells of an SA whether it still has its keys.
 */
export async function prepareFingerprinter(
  nonce: Uint8Array,
  sas: Iterable<SecurityAssociation>,
  isCurrent: (sa: SecurityAssociation) => boolean,
): Promise<FingerprintOf> {
  const compute = fingerprinter(nonce);
  const ready = new Map<SecurityAssociation, string>();
  let count = 0;
  for (const sa of [...sas]) {
    if (isCurrent(sa)) ready.set(sa, compute(sa));
    count += 1;
    if (count % SLICE === 0) await nextTurn();
  }
  return (sa) => ready.get(sa) ?? compute(sa);
}

function lengthOf(key: SecretBytes | undefined): number {
  return key?.lengthBytes ?? 0;
}

function putKey(data: Buffer, offset: number, key: SecretBytes | undefined): number {
  const start = data.writeUInt16BE(lengthOf(key), offset);
  key?.reveal((bytes) => data.set(bytes, start));
  return start + lengthOf(key);
}
