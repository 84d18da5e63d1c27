import { createHmac } from 'node:crypto';
import { Sa, type SaCounters, type SaState } from '../../proto/index.ts';
import type { Author } from '../../server/index.ts';
import type { SecretBytes } from '../../util/index.ts';
import type { SaName, SaRequest } from './sa-request.ts';

/** An SA in vsw, or on its way into it or out of it. */
export type SaRecord = Author & {
  readonly request: SaRequest;
  /** Larger for a later one. */
  readonly order: number;
  /** Of the clock, when it was begun to be installed. */
  readonly sinceMs: number;
  /** Listed only when installed. */
  phase: 'installing' | 'installed' | 'leaving';
  /** What is being done with it, or was last; never rejects. */
  busy: Promise<void>;
  /** Of the clock: packets may leave through it until then, although no policy names it any more. */
  usedUntilMs: number;
};

/** The key of an SA in tables: one namespace for all owners and VRFs. */
export function saKey({ direction, spi, destination }: SaName): string {
  return `${direction} ${spi} ${destination}`;
}

export function wipeKeys({ request }: Pick<SaRecord, 'request'>): void {
  request.encryptionKey.wipe();
  request.integrityKey.wipe();
}

/** See SaState.key_fingerprint in the contract. */
function fingerprint({ encryptionKey, integrityKey }: SaRequest, nonce: Uint8Array): Buffer {
  const hmac = createHmac('sha256', nonce);
  const put = (key: SecretBytes): void => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(key.lengthBytes);
    hmac.update(length);
    key.reveal((bytes) => hmac.update(bytes));
  };
  put(encryptionKey);
  put(integrityKey);
  return hmac.digest();
}

/** vsw counts no packets of an SA, and its bytes stay 0. */
export const noCounters: SaCounters = {
  bytes: 0n,
  packets: 0n,
  idleMs: undefined,
  replayDrops: 0n,
  integrityFailures: 0n,
  selectorDrops: 0n,
  malformedDrops: 0n,
};

export function listedState(
  record: SaRecord,
  options: { readonly nonce: Uint8Array; readonly isCountersOnly: boolean; readonly nowMs: number },
): SaState {
  const { listed } = record.request;
  return {
    sa: options.isCountersOnly ? { ...Sa.create(), id: listed.id } : listed,
    ownerId: record.owner,
    charonInstanceId: Buffer.from(record.charonInstanceId),
    keyFingerprint: options.nonce.length > 0 ? fingerprint(record.request, options.nonce) : Buffer.alloc(0),
    ageMs: BigInt(Math.round(options.nowMs - record.sinceMs)),
    counters: noCounters,
    nextSequence: 0n,
    replayState: undefined,
  };
}
