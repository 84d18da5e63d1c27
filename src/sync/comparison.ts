import {
  type ActualPolicy,
  type ActualSa,
  diffPolicies,
  diffSas,
  type FingerprintOf,
  type PolicyDelta,
  type SaDelta,
  saKey,
} from '../sad/index.ts';
import { AgentError } from '../util/index.ts';
import type { DesiredState } from './desired-state.ts';
import { prepareFingerprinter } from './key-fingerprint.ts';
import type { CallOptions, DataplanePort, RandomBytes } from './ports.ts';
import type { SyncDiff } from './status.ts';

const NONCE_BYTES = 32;

export type Listings = {
  readonly actualSas: readonly ActualSa[];
  readonly actualPolicies: readonly ActualPolicy[];
  /** Under the nonce the SAs were listed with. */
  readonly fingerprintOf: FingerprintOf;
};

export type Comparison = Listings & {
  readonly bootId: string;
  readonly sas: SaDelta;
  readonly policies: PolicyDelta;
};

export type CompareOptions = CallOptions & {
  readonly dataplane: Pick<DataplanePort, 'listSas' | 'listPolicies'>;
  readonly random: RandomBytes;
  readonly desired: DesiredState;
  /** Entries to leave out; read when the listings are there. */
  readonly ignored: ReadonlySet<string>;
  /** Called before the comparison, with the listings: may still change desired. */
  readonly settle?: (listings: Listings) => void;
};

/**
 * Lists the dataplane and compares it with desired.
 *
 * @throws AgentError `unavailable` when the dataplane booted between its listings
 */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const { dataplane, desired, ignored, signal } = options;
  const nonce = options.random(NONCE_BYTES);
  const [saListing, policyListing] = await Promise.all([
    dataplane.listSas(nonce, { signal }),
    dataplane.listPolicies({ signal }),
  ]);
  if (saListing.bootId !== policyListing.bootId) {
    throw new AgentError('the dataplane booted while it was listed', {
      code: 'unavailable',
      retryable: true,
    });
  }
  const listings: Listings = {
    actualSas: saListing.sas,
    actualPolicies: policyListing.policies,
    fingerprintOf: await prepareFingerprinter(
      nonce,
      desired.sas.values(),
      (sa) => desired.sas.get(saKey(sa.id)) === sa,
    ),
  };
  options.settle?.(listings);
  return {
    ...listings,
    bootId: saListing.bootId,
    sas: diffSas({
      desired: desired.sas,
      actual: listings.actualSas,
      fingerprintOf: listings.fingerprintOf,
      ignored,
    }),
    policies: diffPolicies({
      desired: desired.policies.policies(),
      actual: listings.actualPolicies,
      ignored,
    }),
  };
}

/** Nothing differs, as far as it was compared. */
export function isEqual({ sas, policies }: Pick<Comparison, 'sas' | 'policies'>): boolean {
  return [...Object.values(sas), ...Object.values(policies)].every(({ size }) => size === 0);
}

/** A comparison as `ipsec-agent diff` shows it. */
export function toSyncDiff({ sas, policies }: Pick<Comparison, 'sas' | 'policies'>): SyncDiff {
  return {
    sas: {
      missing: [...sas.missing.keys()],
      unexpected: [...sas.unexpected.keys()],
      different: [...sas.different, ...sas.moved].map(([key, { fields }]) => ({ key, fields })),
    },
    policies: {
      missing: [...policies.missing.keys()],
      unexpected: [...policies.unexpected.keys()],
      different: [...policies.different].map(([key, { fields }]) => ({ key, fields })),
    },
  };
}
