import { type SaKey, type SecurityAssociation, type Spi, spiOfKey } from '../sad/index.ts';
import type { BackOffs } from './back-off.ts';
import type { RekeyReason, RekeyRequests } from './rekey-requests.ts';
import type { JournalEntry, SaJournal } from './sa-journal.ts';

/** Work of a request on its way: queued, sent, or without an answer and to be read back. */
export type PendingWork = {
  readonly stage: 'waiting' | 'in-flight' | 'unknown';
  readonly what: string;
  readonly keys: readonly string[];
};

/** Another try, in so many milliseconds; 0 is now. */
type Retry = { readonly attempts: number; readonly nextTryInMs: number };

/** What the engine knows of one SA. */
export type SaStory = {
  readonly key: SaKey;
  /** What charon was told exists; printing it shows no key. */
  readonly desired: SecurityAssociation | undefined;
  readonly pending: readonly PendingWork[];
  /** A repair that failed. */
  readonly repair: (Retry & { readonly reason: string }) | undefined;
  readonly rekey: (Retry & { readonly reason: RekeyReason }) | undefined;
  /** It ended in the dataplane, and charon has yet to delete it. */
  readonly isExpired: boolean;
  /** Oldest first. */
  readonly journal: readonly (JournalEntry & { readonly firstAgoMs: number; readonly lastAgoMs: number })[];
};

export type StorySources = {
  readonly nowMs: number;
  readonly desired: ReadonlyMap<SaKey, SecurityAssociation>;
  readonly pending: readonly PendingWork[];
  readonly backOffs: Pick<BackOffs, 'get'>;
  readonly rekeys: Pick<RekeyRequests, 'get'>;
  readonly expired: ReadonlySet<SaKey>;
  readonly journal: Pick<SaJournal, 'keys' | 'entries'>;
};

/** Every SA the engine knows that `isWanted`: both directions, and with every peer. */
export function tellStories(
  sources: StorySources,
  isWanted: (key: string) => key is SaKey,
): readonly SaStory[] {
  const { nowMs, desired, pending, backOffs, rekeys, expired, journal } = sources;
  const keys = new Set<SaKey>();
  for (const source of [desired.keys(), journal.keys(), pending.flatMap((work) => work.keys)]) {
    for (const key of source) if (isWanted(key)) keys.add(key);
  }
  const inMs = (timeMs: number): number => Math.max(0, Math.round(timeMs - nowMs));
  return [...keys].sort().map((key): SaStory => {
    const repair = backOffs.get(key);
    const rekey = rekeys.get(key);
    return {
      key,
      desired: desired.get(key),
      pending: pending.filter((work) => work.keys.includes(key)),
      repair: repair && {
        attempts: repair.attempts,
        reason: repair.reason,
        nextTryInMs: inMs(repair.notBeforeMs),
      },
      rekey: rekey && {
        attempts: rekey.attempts,
        reason: rekey.reason,
        nextTryInMs: inMs(rekey.notBeforeMs),
      },
      isExpired: expired.has(key),
      journal: journal.entries(key).map((entry) => ({
        ...entry,
        firstAgoMs: Math.max(0, Math.round(nowMs - entry.firstMs)),
        lastAgoMs: Math.max(0, Math.round(nowMs - entry.lastMs)),
      })),
    };
  });
}

/** Tells the SAs of one SPI. */
export function hasSpi(spi: Spi): (key: string) => key is SaKey {
  return (key): key is SaKey => spiOfKey(key) === spi;
}
