import { type Algorithm, Protocol, ResultCode } from '../proto/index.ts';
import { Refusal } from '../server/index.ts';
import type { NativeEngine } from './native.ts';

const AES = [128, 192, 256] as const;

function encryption(
  id: number,
  name: string,
  keyBits: readonly number[],
  lengths: readonly [saltBytes: number, ivBytes: number, icvBytes: number],
): Algorithm {
  const [saltBytes, ivBytes, icvBytes] = lengths;
  return { id, name, keyBits: [...keyBits], saltBytes, ivBytes, icvBytes };
}

/** Transform type 1 (IANA). What native/transform.c has, with the names and lengths of src/sad/algorithms.ts. */
const ENCRYPTION: readonly Algorithm[] = [
  encryption(3, 'ENCR_3DES', [192], [0, 8, 0]),
  encryption(11, 'ENCR_NULL', [0], [0, 0, 0]),
  encryption(12, 'ENCR_AES_CBC', AES, [0, 16, 0]),
  encryption(13, 'ENCR_AES_CTR', AES, [4, 8, 0]),
  encryption(14, 'ENCR_AES_CCM_8', AES, [3, 8, 8]),
  encryption(15, 'ENCR_AES_CCM_12', AES, [3, 8, 12]),
  encryption(16, 'ENCR_AES_CCM_16', AES, [3, 8, 16]),
  encryption(18, 'ENCR_AES_GCM_8', AES, [4, 8, 8]),
  encryption(19, 'ENCR_AES_GCM_12', AES, [4, 8, 12]),
  encryption(20, 'ENCR_AES_GCM_16', AES, [4, 8, 16]),
  encryption(21, 'ENCR_NULL_AUTH_AES_GMAC', AES, [4, 8, 16]),
  encryption(28, 'ENCR_CHACHA20_POLY1305', [256], [4, 8, 16]),
];

function integrity(id: number, name: string, keyBits: number, icvBytes: number, saltBytes = 0): Algorithm {
  return { id, name, keyBits: [keyBits], saltBytes, ivBytes: 0, icvBytes };
}

/** Transform type 3 (IANA). */
const INTEGRITY: readonly Algorithm[] = [
  integrity(2, 'AUTH_HMAC_SHA1_96', 160, 12),
  integrity(5, 'AUTH_AES_XCBC_96', 128, 12),
  integrity(8, 'AUTH_AES_CMAC_96', 128, 12),
  integrity(9, 'AUTH_AES_128_GMAC', 128, 16, 4),
  integrity(10, 'AUTH_AES_192_GMAC', 192, 16, 4),
  integrity(11, 'AUTH_AES_256_GMAC', 256, 16, 4),
  integrity(12, 'AUTH_HMAC_SHA2_256_128', 256, 16),
  integrity(13, 'AUTH_HMAC_SHA2_384_192', 384, 24),
  integrity(14, 'AUTH_HMAC_SHA2_512_256', 512, 32),
];

/** What of an SA an algorithm check looks at; key lengths in bytes. */
export type AlgorithmChoice = {
  readonly protocol: Protocol;
  readonly encryption: number;
  readonly encryptionKeyBytes: number;
  readonly integrity: number;
  readonly integrityKeyBytes: number;
};

function unsupported(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM, message);
}

function invalid(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_INVALID, message);
}

function keyBytesOf({ saltBytes }: Algorithm, keyBits: number): number {
  return keyBits / 8 + saltBytes;
}

/** GMAC as an integrity algorithm: ESP has no place for its IV. */
function isForAhOnly({ saltBytes }: Algorithm): boolean {
  return saltBytes > 0;
}

function checkKey(algorithm: Algorithm, keyBytes: number): void {
  if (algorithm.keyBits.some((bits) => keyBytesOf(algorithm, bits) === keyBytes)) return;
  const salt = algorithm.saltBytes > 0 ? ` and a salt of ${algorithm.saltBytes} bytes` : '';
  // A known algorithm in a length it does not have is as unsupported as an unknown one.
  throw unsupported(
    `${algorithm.name}: expected a key of ${algorithm.keyBits.join(' or ')} bits${salt}, got ${keyBytes} bytes`,
  );
}

/** The algorithms this process can do: those of the tables, less what its OpenSSL lacks. */
export class Algorithms {
  readonly encryption: readonly Algorithm[];
  readonly integrity: readonly Algorithm[];

  constructor(engine: Pick<NativeEngine, 'supports'>) {
    const narrowed = (
      all: readonly Algorithm[],
      isSupported: (algorithm: Algorithm, keyBytes: number) => boolean,
    ): readonly Algorithm[] =>
      all.flatMap((algorithm) => {
        const keyBits = algorithm.keyBits.filter((bits) =>
          isSupported(algorithm, keyBytesOf(algorithm, bits)),
        );
        return keyBits.length === 0 ? [] : [{ ...algorithm, keyBits }];
      });
    this.integrity = narrowed(INTEGRITY, ({ id }, keyBytes) => engine.supports(0, 0, id, keyBytes));
    const mac = this.integrity.find((algorithm) => !isForAhOnly(algorithm));
    const macKeyBytes = mac === undefined ? 0 : keyBytesOf(mac, mac.keyBits[0] ?? 0);
    this.encryption = narrowed(ENCRYPTION, ({ id, icvBytes }, keyBytes) =>
      icvBytes > 0
        ? engine.supports(id, keyBytes, 0, 0)
        : engine.supports(id, keyBytes, mac?.id ?? 0, macKeyBytes),
    );
  }

  /**
   * Whether an SA's algorithms and key lengths fit together.
   * @throws Refusal
   */
  check(choice: AlgorithmChoice): void {
    if (choice.protocol === Protocol.PROTOCOL_AH) {
      if (choice.encryption !== 0 || choice.encryptionKeyBytes !== 0)
        throw invalid('AH has no encryption algorithm');
      checkKey(this.#integrityAlgorithm(choice.integrity), choice.integrityKeyBytes);
      return;
    }
    if (choice.encryption === 0)
      throw invalid('ESP has an encryption algorithm, which may be NULL (11): 0 is none');
    const cipher = this.#find(this.encryption, ENCRYPTION, choice.encryption, 'encryption');
    checkKey(cipher, choice.encryptionKeyBytes);
    if (cipher.icvBytes > 0) {
      if (choice.integrity === 0 && choice.integrityKeyBytes === 0) return;
      throw invalid(`${cipher.name} is an AEAD: no integrity algorithm or key goes with it`);
    }
    if (choice.integrity === 0) throw unsupported(`${cipher.name} without integrity is not supported`);
    const mac = this.#integrityAlgorithm(choice.integrity);
    if (isForAhOnly(mac)) {
      throw unsupported(
        `${mac.name} is for AH; in ESP it is ENCR_NULL_AUTH_AES_GMAC, without integrity algorithm (RFC 4543, 3)`,
      );
    }
    checkKey(mac, choice.integrityKeyBytes);
  }

  #integrityAlgorithm(id: number): Algorithm {
    return this.#find(this.integrity, INTEGRITY, id, 'integrity');
  }

  #find(available: readonly Algorithm[], known: readonly Algorithm[], id: number, type: string): Algorithm {
    const algorithm = available.find((one) => one.id === id);
    if (algorithm !== undefined) return algorithm;
    const missing = known.find((one) => one.id === id);
    throw unsupported(
      missing === undefined
        ? `${type} algorithm ${id} is not supported`
        : `${missing.name} is not in the OpenSSL ${process.versions.openssl} of this process: its providers leave it out`,
    );
  }
}
