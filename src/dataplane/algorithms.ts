import { type Algorithm, ResultCode } from '../proto/index.ts';
import { Refusal } from '../server/index.ts';

const ENCR_AES_CBC = 12;
const ENCR_AES_GCM_16 = 20;
const AUTH_HMAC_SHA1_96 = 2;
const AUTH_HMAC_SHA2_256_128 = 12;

/** Transform type 1 (IANA), RFC 3602 and RFC 4106. */
export const encryptionAlgorithms: readonly Algorithm[] = [
  { id: ENCR_AES_CBC, name: 'ENCR_AES_CBC', keyBits: [128, 256], saltBytes: 0, ivBytes: 16, icvBytes: 0 },
  {
    id: ENCR_AES_GCM_16,
    name: 'ENCR_AES_GCM_16',
    keyBits: [128, 256],
    saltBytes: 4,
    ivBytes: 8,
    icvBytes: 16,
  },
];

/** Transform type 3 (IANA), RFC 2404 and RFC 4868. */
export const integrityAlgorithms: readonly Algorithm[] = [
  {
    id: AUTH_HMAC_SHA1_96,
    name: 'AUTH_HMAC_SHA1_96',
    keyBits: [160],
    saltBytes: 0,
    ivBytes: 0,
    icvBytes: 12,
  },
  {
    id: AUTH_HMAC_SHA2_256_128,
    name: 'AUTH_HMAC_SHA2_256_128',
    keyBits: [256],
    saltBytes: 0,
    ivBytes: 0,
    icvBytes: 16,
  },
];

function unsupported(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM, message);
}

function checkKey(algorithm: Algorithm, keyBytes: number): void {
  const bits = (keyBytes - algorithm.saltBytes) * 8;
  if (algorithm.keyBits.includes(bits)) return;
  const salt = algorithm.saltBytes > 0 ? ` and a salt of ${algorithm.saltBytes} bytes` : '';
  // A known algorithm in a length that exists elsewhere (AES-192) is as unsupported as an unknown one.
  throw unsupported(
    `${algorithm.name}: expected a key of ${algorithm.keyBits.join(' or ')} bits${salt}, got ${keyBytes} bytes`,
  );
}

/**
 * Whether an SA's algorithms and key lengths fit together.
 * @throws Refusal
 */
export function checkAlgorithms(
  encryption: number,
  encryptionKeyBytes: number,
  integrity: number,
  integrityKeyBytes: number,
): void {
  const cipher = encryptionAlgorithms.find((algorithm) => algorithm.id === encryption);
  if (cipher === undefined) throw unsupported(`encryption algorithm ${encryption} is not supported`);
  checkKey(cipher, encryptionKeyBytes);
  if (cipher.icvBytes > 0) {
    if (integrity === 0 && integrityKeyBytes === 0) return;
    throw new Refusal(
      ResultCode.RESULT_CODE_INVALID,
      `${cipher.name} is an AEAD: no integrity algorithm or key goes with it`,
    );
  }
  const mac = integrityAlgorithms.find((algorithm) => algorithm.id === integrity);
  if (mac === undefined) {
    throw unsupported(
      integrity === 0
        ? `${cipher.name} without integrity is not supported`
        : `integrity algorithm ${integrity} is not supported`,
    );
  }
  checkKey(mac, integrityKeyBytes);
}
