import type { Encryption, Integrity } from './algorithms.ts';

export type Direction = 'inbound' | 'outbound';

/** An SA's values as vsw keeps them. `local` is the outer source, `remote` the outer destination. */
export type SaValues = {
  readonly encryption: Encryption;
  /** Absent for AEAD. */
  readonly integrity?: Integrity;
  readonly encryptionKey: Buffer;
  readonly integrityKey: Buffer;
  readonly local: string;
  readonly remote: string;
  readonly udp?: { readonly sourcePort: number; readonly destinationPort: number };
  /** Of the clock, 0 for none. */
  readonly hardAtMs: number;
  readonly softAtMs: number;
  /** When PF_KEY added it; SAs of openconfigd have none and count as the oldest. */
  readonly addedAtMs: number;
  readonly byteHard: bigint;
  readonly byteSoft: bigint;
};

/**
 * An SA's way through vsw (agents/tunnel/ipsec/sad/types.go): reserved by GETSPI or ADD, newing once
 * enabled, valid once the tick has pushed it.
 */
export type SaStage =
  | 'reserved'
  | 'newing'
  | 'valid'
  | 'updating'
  | 'softExpired'
  | 'hardExpired'
  | 'deleting';

/** SADB_SASTATE_* of RFC 2367. */
export const SaState = { LARVAL: 0, MATURE: 1, DYING: 2, DEAD: 3 } as const;

export function stateOf(stage: SaStage): number {
  switch (stage) {
    case 'reserved':
    case 'newing':
      return SaState.LARVAL;
    case 'valid':
    case 'updating':
      return SaState.MATURE;
    case 'softExpired':
      return SaState.DYING;
    case 'hardExpired':
    case 'deleting':
      return SaState.DEAD;
  }
}

/** What the forwarding cores compare to tell whether a slot's session is still the same SA's. */
export function identityOf(spi: number, values: SaValues): string {
  const { encryption, integrity, encryptionKey, integrityKey, local, remote, udp } = values;
  return [
    ...[spi, encryption, integrity, encryptionKey.toString('hex'), integrityKey.toString('hex')],
    ...[local, remote, udp?.sourcePort, udp?.destinationPort],
  ].join(' ');
}
