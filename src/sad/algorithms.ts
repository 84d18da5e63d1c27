/** An IKEv2 transform of type 1 for ESP (IANA, "Encryption Algorithm Transform IDs"). */
export type EncryptionAlgorithm = {
  readonly id: number;
  /** IANA's name. */
  readonly name: string;
  /** The name charon prints and swanctl lists. */
  readonly charonName: string;
  /** Key lengths the algorithm has, salt not counted. */
  readonly keyBits: readonly number[];
  /** Implicit part of the nonce, at the end of the key. */
  readonly saltBytes: number;
  readonly ivBytes: number;
  /** 0 for an algorithm that needs an integrity transform. */
  readonly icvBytes: number;
};

/** An IKEv2 transform of type 3 (IANA, "Integrity Algorithm Transform IDs"). */
export type IntegrityAlgorithm = {
  readonly id: number;
  readonly name: string;
  readonly charonName: string;
  readonly keyBits: readonly number[];
  readonly saltBytes: number;
  readonly icvBytes: number;
};

const AES = [128, 192, 256] as const;

function encryption(
  id: number,
  name: string,
  charonName: string,
  keyBits: readonly number[],
  lengths: readonly [saltBytes: number, ivBytes: number, icvBytes: number],
): EncryptionAlgorithm {
  const [saltBytes, ivBytes, icvBytes] = lengths;
  return { id, name, charonName, keyBits, saltBytes, ivBytes, icvBytes };
}

function integrity(
  id: number,
  name: string,
  charonName: string,
  keyBits: number,
  icvBytes: number,
  saltBytes = 0,
): IntegrityAlgorithm {
  return { id, name, charonName, keyBits: [keyBits], saltBytes, icvBytes };
}

const ENCRYPTION: readonly EncryptionAlgorithm[] = [
  encryption(3, 'ENCR_3DES', '3DES_CBC', [192], [0, 8, 0]),
  encryption(11, 'ENCR_NULL', 'NULL', [0], [0, 0, 0]),
  encryption(12, 'ENCR_AES_CBC', 'AES_CBC', AES, [0, 16, 0]),
  encryption(13, 'ENCR_AES_CTR', 'AES_CTR', AES, [4, 8, 0]),
  encryption(14, 'ENCR_AES_CCM_8', 'AES_CCM_8', AES, [3, 8, 8]),
  encryption(15, 'ENCR_AES_CCM_12', 'AES_CCM_12', AES, [3, 8, 12]),
  encryption(16, 'ENCR_AES_CCM_16', 'AES_CCM_16', AES, [3, 8, 16]),
  encryption(18, 'ENCR_AES_GCM_8', 'AES_GCM_8', AES, [4, 8, 8]),
  encryption(19, 'ENCR_AES_GCM_12', 'AES_GCM_12', AES, [4, 8, 12]),
  encryption(20, 'ENCR_AES_GCM_16', 'AES_GCM_16', AES, [4, 8, 16]),
  encryption(21, 'ENCR_NULL_AUTH_AES_GMAC', 'NULL_AES_GMAC', AES, [4, 8, 16]),
  encryption(23, 'ENCR_CAMELLIA_CBC', 'CAMELLIA_CBC', AES, [0, 16, 0]),
  encryption(24, 'ENCR_CAMELLIA_CTR', 'CAMELLIA_CTR', AES, [4, 8, 0]),
  encryption(25, 'ENCR_CAMELLIA_CCM_8', 'CAMELLIA_CCM_8', AES, [3, 8, 8]),
  encryption(26, 'ENCR_CAMELLIA_CCM_12', 'CAMELLIA_CCM_12', AES, [3, 8, 12]),
  encryption(27, 'ENCR_CAMELLIA_CCM_16', 'CAMELLIA_CCM_16', AES, [3, 8, 16]),
  encryption(28, 'ENCR_CHACHA20_POLY1305', 'CHACHA20_POLY1305', [256], [4, 8, 16]),
];

const INTEGRITY: readonly IntegrityAlgorithm[] = [
  integrity(1, 'AUTH_HMAC_MD5_96', 'HMAC_MD5_96', 128, 12),
  integrity(2, 'AUTH_HMAC_SHA1_96', 'HMAC_SHA1_96', 160, 12),
  integrity(5, 'AUTH_AES_XCBC_96', 'AES_XCBC_96', 128, 12),
  integrity(6, 'AUTH_HMAC_MD5_128', 'HMAC_MD5_128', 128, 16),
  integrity(7, 'AUTH_HMAC_SHA1_160', 'HMAC_SHA1_160', 160, 20),
  integrity(8, 'AUTH_AES_CMAC_96', 'AES_CMAC_96', 128, 12),
  integrity(9, 'AUTH_AES_128_GMAC', 'AES_128_GMAC', 128, 16, 4),
  integrity(10, 'AUTH_AES_192_GMAC', 'AES_192_GMAC', 192, 16, 4),
  integrity(11, 'AUTH_AES_256_GMAC', 'AES_256_GMAC', 256, 16, 4),
  integrity(12, 'AUTH_HMAC_SHA2_256_128', 'HMAC_SHA2_256_128', 256, 16),
  integrity(13, 'AUTH_HMAC_SHA2_384_192', 'HMAC_SHA2_384_192', 384, 24),
  integrity(14, 'AUTH_HMAC_SHA2_512_256', 'HMAC_SHA2_512_256', 512, 32),
];

const encryptionById: ReadonlyMap<number, EncryptionAlgorithm> = new Map(
  ENCRYPTION.map((algorithm) => [algorithm.id, algorithm]),
);
const integrityById: ReadonlyMap<number, IntegrityAlgorithm> = new Map(
  INTEGRITY.map((algorithm) => [algorithm.id, algorithm]),
);

/** The algorithm with this IANA id; undefined when it is not in the table. */
export function encryptionAlgorithm(id: number): EncryptionAlgorithm | undefined {
  return encryptionById.get(id);
}

/** The algorithm with this IANA id; undefined when it is not in the table. */
export function integrityAlgorithm(id: number): IntegrityAlgorithm | undefined {
  return integrityById.get(id);
}

/** Every algorithm of the table, by IANA id. */
export function allAlgorithms(): {
  readonly encryption: readonly EncryptionAlgorithm[];
  readonly integrity: readonly IntegrityAlgorithm[];
} {
  return { encryption: ENCRYPTION, integrity: INTEGRITY };
}
