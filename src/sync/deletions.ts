import {
  type CharonInstance,
  judgeProvenance,
  type PolicyKey,
  type SaId,
  type SaKey,
  saKey,
} from '../sad/index.ts';
import type { Testimony } from './brake-witness.ts';
import type { Comparison } from './comparison.ts';
import type { SyncChange, SyncRequest } from './requests.ts';

/** When a plan deletes too much at once. */
export type Brake = {
  /** Of all SAs in the dataplane, 0..1; 1 is no brake. */
  readonly maxShare: number;
  /** So many may go whatever the share. */
  readonly allowance: number;
};

/** What charon's tables lack and a comparison leaves alone nevertheless. */
export type Withheld = {
  /** Installed by another charon that is running. */
  readonly foreign: ReadonlySet<SaKey | PolicyKey>;
  /** Held by the brake. */
  readonly braked: ReadonlySet<SaKey | PolicyKey>;
  readonly brakedSas: readonly SaId[];
};

export const NOTHING_WITHHELD: Withheld = { foreign: new Set(), braked: new Set(), brakedSas: [] };

export type JudgeOptions = {
  readonly comparison: Pick<Comparison, 'sas' | 'policies' | 'actualSas' | 'actualPolicies'>;
  /** The charon of the snapshot, aged before the listings were asked for. */
  readonly charon: CharonInstance;
  /** What the comparison left out. */
  readonly ignored: ReadonlySet<string>;
};

/**
 * Which entries that charon's tables lack may be deleted (invariant 6). Each needs evidence: charon
 * deleted it by name, or a complete snapshot lacks it, of the charon that installed it or of a later one.
 *
 * The brake is for a snapshot that is wrong. When the tables of a charon lack more than a share of what
 * was installed for that same charon, and it deleted none of that by name, nothing of it goes until
 * complete VICI listings lack it too.
 */
export class Deletions {
  readonly #brake: Brake;
  /** SAs that charon deleted by name and that no comparison has seen gone. */
  readonly #named = new Set<SaKey>();
  /** What VICI's listings said of SAs that the brake held. */
  readonly #unlisted = new Set<SaKey>();
  readonly #listed = new Set<SaKey>();
  /** Charons whose tables were desired before. */
  readonly #earlier = new Set<string>();

  constructor(brake: Brake) {
    this.#brake = brake;
  }

  onRequest(request: SyncRequest): void {
    if (request.kind !== 'add-sa') return;
    this.#named.delete(saKey(request.sa.id));
    this.#unlisted.delete(saKey(request.sa.id));
    this.#listed.delete(saKey(request.sa.id));
  }

  onChange(change: SyncChange, desired: Iterable<SaKey>): void {
    if (change.kind === 'delete-sa') this.#named.add(saKey(change.id));
    if (change.kind === 'flush-sas') for (const key of desired) this.#named.add(key);
  }

  onSnapshot(charonInstanceId: string, previousInstanceId: string): void {
    if (previousInstanceId !== '') this.#earlier.add(previousInstanceId);
    this.#earlier.delete(charonInstanceId);
    this.#unlisted.clear();
    this.#listed.clear();
  }

  /** For SAs that complete listings lack the brake is off; for those that are listed it stays on. */
  onTestimony({ unlisted, listed }: Testimony): void {
    for (const id of unlisted) {
      this.#unlisted.add(saKey(id));
      this.#listed.delete(saKey(id));
    }
    for (const id of listed) this.#listed.add(saKey(id));
  }

  /** What of a comparison's unexpected entries stays. */
  judge({ comparison, charon, ignored }: JudgeOptions): Withheld {
    for (const key of this.#named) {
      if (!comparison.sas.unexpected.has(key) && !ignored.has(key)) this.#named.delete(key);
    }
    return this.weigh({ comparison, charon });
  }

  /** The same, learning nothing from it. */
  weigh({ comparison, charon }: Omit<JudgeOptions, 'ignored'>): Withheld {
    const { sas, policies, actualSas, actualPolicies } = comparison;
    if (sas.unexpected.size === 0 && policies.unexpected.size === 0) return NOTHING_WITHHELD;
    const evidenceOf = judgeProvenance([...actualSas, ...actualPolicies], charon, this.#earlier);

    const foreign = new Set<SaKey | PolicyKey>();
    const doubtful = new Map<SaKey | PolicyKey, SaId | undefined>();
    for (const [key, listed] of sas.unexpected) {
      const evidence = this.#isNamed(key) ? 'named' : evidenceOf(listed.charonInstanceId);
      if (evidence === undefined) foreign.add(key);
      if (evidence === 'own-tables') doubtful.set(key, listed.sa.id);
    }
    const brakedSas = [...doubtful.values()].filter((id) => id !== undefined);
    const isBraked =
      brakedSas.length > this.#limit(actualSas.length) || brakedSas.some((id) => this.#listed.has(saKey(id)));
    for (const [key, listed] of policies.unexpected) {
      const evidence = evidenceOf(listed.charonInstanceId);
      if (evidence === undefined) foreign.add(key);
      // They steer traffic into the SAs that stay.
      if (evidence === 'own-tables') doubtful.set(key, undefined);
    }
    return isBraked
      ? { foreign, braked: new Set(doubtful.keys()), brakedSas }
      : { foreign, braked: new Set(), brakedSas: [] };
  }

  #isNamed(key: SaKey): boolean {
    return this.#named.has(key) || this.#unlisted.has(key);
  }

  #limit(total: number): number {
    const { maxShare, allowance } = this.#brake;
    return maxShare >= 1 ? Number.POSITIVE_INFINITY : Math.max(allowance, Math.floor(maxShare * total));
  }
}

/** A comparison without the entries that stay. */
export function withoutWithheld(
  { sas, policies }: Pick<Comparison, 'sas' | 'policies'>,
  { foreign, braked }: Withheld,
): Pick<Comparison, 'sas' | 'policies'> {
  const goes = ([key]: readonly [SaKey | PolicyKey, unknown]): boolean =>
    !foreign.has(key) && !braked.has(key);
  return {
    sas: { ...sas, unexpected: new Map([...sas.unexpected].filter(goes)) },
    policies: { ...policies, unexpected: new Map([...policies.unexpected].filter(goes)) },
  };
}
