import { encryptionAlgorithm, integrityAlgorithm } from './algorithms.ts';
import { formatSpi, type KeyedTransform, type SecurityAssociation } from './security-association.ts';

/** Why an SA's algorithms and keys cannot be. */
export type TransformProblem = {
  readonly code: 'unsupported-algorithm' | 'invalid';
  readonly reason: string;
};

type KeyLengths = {
  readonly charonName: string;
  readonly keyBits: readonly number[];
  readonly saltBytes: number;
};

function problem(code: TransformProblem['code'], sa: SecurityAssociation, why: string): TransformProblem {
  return { code, reason: `${sa.id.direction} SA ${formatSpi(sa.id.spi)}: ${why}` };
}

function checkKey(
  sa: SecurityAssociation,
  what: string,
  transform: KeyedTransform,
  known: KeyLengths | undefined,
): TransformProblem | undefined {
  if (known === undefined) {
    return problem('unsupported-algorithm', sa, `${what} algorithm ${transform.id} is not known`);
  }
  const bits = (transform.key.lengthBytes - known.saltBytes) * 8;
  if (known.keyBits.includes(bits)) return undefined;
  const salt = known.saltBytes === 0 ? '' : ` and ${known.saltBytes} bytes of salt`;
  return problem(
    'invalid',
    sa,
    `${transform.key.lengthBytes} bytes are no key of ${known.charonName}, which has ${known.keyBits.join(', ')} bits${salt}`,
  );
}

/** Checks that an SA has the transforms its protocol needs, each with a key of its length. */
export function checkTransforms(sa: SecurityAssociation): TransformProblem | undefined {
  const { encryption, integrity } = sa;
  if (sa.id.protocol === 'ah' && (encryption !== undefined || integrity === undefined)) {
    return problem('invalid', sa, 'AH has an integrity algorithm and no encryption algorithm');
  }
  if (sa.id.protocol === 'esp' && encryption === undefined) {
    return problem('invalid', sa, 'ESP has an encryption algorithm, which may be NULL');
  }
  if (encryption !== undefined) {
    const known = encryptionAlgorithm(encryption.id);
    const wrong = checkKey(sa, 'encryption', encryption, known);
    if (wrong !== undefined) return wrong;
    if (known !== undefined && known.icvBytes > 0 && integrity !== undefined) {
      return problem('invalid', sa, `${known.charonName} is an AEAD and takes no integrity algorithm`);
    }
  }
  return integrity === undefined
    ? undefined
    : checkKey(sa, 'integrity', integrity, integrityAlgorithm(integrity.id));
}

/** An SA's algorithms as swanctl names them: AES_GCM_16-128, AES_CBC-256/HMAC_SHA2_256_128. */
export function formatAlgorithms(sa: Pick<SecurityAssociation, 'encryption' | 'integrity'>): string {
  const parts: string[] = [];
  if (sa.encryption !== undefined) {
    const known = encryptionAlgorithm(sa.encryption.id);
    const bits = (sa.encryption.key.lengthBytes - (known?.saltBytes ?? 0)) * 8;
    const name = known?.charonName ?? `ENCR_${sa.encryption.id}`;
    parts.push(known === undefined || known.keyBits.length === 1 ? name : `${name}-${bits}`);
  }
  if (sa.integrity !== undefined) {
    parts.push(integrityAlgorithm(sa.integrity.id)?.charonName ?? `AUTH_${sa.integrity.id}`);
  }
  return parts.join('/');
}
