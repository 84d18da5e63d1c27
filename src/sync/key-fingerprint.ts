import { createHmac, type Hmac } from 'node:crypto';
import type { FingerprintOf, SecurityAssociation } from '../sad/index.ts';
import type { SecretBytes } from '../util/index.ts';

function updateWithKey(hmac: Hmac, key: SecretBytes | undefined): void {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(key?.lengthBytes ?? 0);
  hmac.update(length);
  key?.reveal((bytes) => hmac.update(bytes));
}

/**
 * The contract's key fingerprint, in hex: HMAC-SHA-256 under `nonce` over
 * u16be length | encryption key | u16be length | integrity key.
 */
export function fingerprinter(nonce: Uint8Array): FingerprintOf {
  return (sa: SecurityAssociation): string => {
    const hmac = createHmac('sha256', nonce);
    updateWithKey(hmac, sa.encryption?.key);
    updateWithKey(hmac, sa.integrity?.key);
    return hmac.digest('hex');
  };
}
