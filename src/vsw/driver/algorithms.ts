import { type Algorithm, ResultCode } from '../../proto/index.ts';
import { Refusal } from '../../server/index.ts';

/** How SAs get into vsw: through the configuration stream, or through PF_KEY. */
export type Via = 'relay' | 'pfkey';

export const ENCR_AES_CBC = 12;
export const ENCR_AES_CTR = 13;
export const ENCR_AES_GCM_16 = 20;
export const AUTH_HMAC_SHA1_96 = 2;
export const AUTH_HMAC_SHA2_256_128 = 12;

type AlgorithmTable = {
  readonly encryption: readonly Algorithm[];
  readonly integrity: readonly Algorithm[];
};

const noSalt = { saltBytes: 0, icvBytes: 0 } as const;
const gcm: Algorithm = {
  id: ENCR_AES_GCM_16,
  name: 'ENCR_AES_GCM_16',
  keyBits: [128],
  saltBytes: 4,
  ivBytes: 8,
  icvBytes: 16,
};
const sha1: Algorithm = {
  id: AUTH_HMAC_SHA1_96,
  name: 'AUTH_HMAC_SHA1_96',
  keyBits: [160],
  saltBytes: 0,
  ivBytes: 0,
  icvBytes: 12,
};
const sha256: Algorithm = {
  ...sha1,
  id: AUTH_HMAC_SHA2_256_128,
  name: 'AUTH_HMAC_SHA2_256_128',
  keyBits: [256],
  icvBytes: 16,
};

function cbc(...keyBits: readonly number[]): Algorithm {
  return { id: ENCR_AES_CBC, name: 'ENCR_AES_CBC', keyBits: [...keyBits], ivBytes: 16, ...noSalt };
}

const ctr: Algorithm = {
  id: ENCR_AES_CTR,
  name: 'ENCR_AES_CTR',
  keyBits: [128],
  ...noSalt,
  saltBytes: 4,
  ivBytes: 8,
};

/** What vsw encrypts with; 3DES and NULL, which it has as well, are nothing to negotiate any more. */
export const algorithms: Readonly<Record<Via, AlgorithmTable>> = {
  relay: { encryption: [cbc(128), gcm], integrity: [sha1] },
  pfkey: { encryption: [cbc(128, 256), ctr, gcm], integrity: [sha1, sha256] },
};

function unsupported(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM, message);
}

function hint(via: Via, kind: keyof AlgorithmTable, id: number, keyBits: number): string {
  if (via === 'pfkey') return '';
  const isThere = algorithms.pfkey[kind].some(
    (algorithm) => algorithm.id === id && algorithm.keyBits.includes(keyBits),
  );
  return isThere ? ' through its configuration; with `via: pfkey` it is' : '';
}

function check(via: Via, kind: keyof AlgorithmTable, id: number, keyBytes: number): Algorithm {
  const bitsWith = (saltBytes: number): number => (keyBytes - saltBytes) * 8;
  const algorithm = algorithms[via][kind].find((known) => known.id === id);
  if (algorithm === undefined) {
    const salt = algorithms.pfkey[kind].find((known) => known.id === id)?.saltBytes ?? 0;
    throw unsupported(
      `${kind} algorithm ${id} is not supported by vsw${hint(via, kind, id, bitsWith(salt))}`,
    );
  }
  const bits = bitsWith(algorithm.saltBytes);
  if (algorithm.keyBits.includes(bits)) return algorithm;
  throw unsupported(
    `${algorithm.name} with a key of ${bits} bits is not supported by vsw, only ${algorithm.keyBits.join(' or ')}` +
      hint(via, kind, id, bits),
  );
}

/**
 * Whether an SA's algorithms and key lengths are vsw's, and fit together.
 * @throws Refusal
 */
export function checkAlgorithms(
  via: Via,
  encryption: number,
  encryptionKeyBytes: number,
  integrity: number,
  integrityKeyBytes: number,
): void {
  const cipher = check(via, 'encryption', encryption, encryptionKeyBytes);
  if (cipher.icvBytes === 0) {
    check(via, 'integrity', integrity, integrityKeyBytes);
    return;
  }
  if (integrity === 0 && integrityKeyBytes === 0) return;
  throw new Refusal(
    ResultCode.RESULT_CODE_INVALID,
    `${cipher.name} is an AEAD: no integrity algorithm or key goes with it`,
  );
}
