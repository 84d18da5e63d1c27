import { formatSpi, type SaId } from '../sad/index.ts';
import type { ChildSaView } from '../sync/index.ts';
import type { Clock, Logger } from '../util/index.ts';
import type { AuditReport } from './reports.ts';

/** What charon lists over VICI. */
export type CharonListing = {
  readonly children: readonly ChildSaView[];
  /** As many IKE_SAs as charon counts. Only then is absence from it worth a thought. */
  readonly isComplete: boolean;
};

/** SAs the plugin has told of: when the listing was asked for, and now that it is here. */
export type ToldSas = { readonly before: readonly SaId[]; readonly after: readonly SaId[] };

type FindingKind = AuditReport['findings'][number]['kind'];

type Suspect = {
  readonly sa: string;
  readonly childSa: string | undefined;
  readonly firstMs: number;
  listings: number;
};

const MESSAGES: Readonly<Record<FindingKind, string>> = {
  untold: 'charon lists an SA that its plugin did not tell of; rekey the CHILD_SA',
  unlisted: 'the plugin has an SA that charon does not list; it is left alone, and ends with its lifetime',
};

/** A listing names no addresses: two outbound SAs of one SPI, to two peers, count as one here. */
function listedName({ direction, protocol, spi }: Pick<SaId, 'direction' | 'protocol' | 'spi'>): string {
  return `${direction} ${protocol} ${formatSpi(spi)}`;
}

function namesOf(ids: readonly SaId[]): ReadonlySet<string> {
  return new Set(ids.map(listedName));
}

/**
 * Compares what charon lists with what its plugin told, both ways; two listings in a row have to
 * agree before something is said, and it is said once. Nothing is changed: what the plugin tells is
 * charon's own word, and a rekey of the CHILD_SA ends either difference.
 *
 * A replaced CHILD_SA still shows the SPI of an outbound SA that is gone, until its inbound one goes
 * too: only INSTALLED ones have to be told, and one in any state is listed.
 */
export class CharonAudit {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #logger: Logger;
  readonly #suspects: Readonly<Record<FindingKind, Map<string, Suspect>>> = {
    untold: new Map(),
    unlisted: new Map(),
  };
  #completeListings = 0;
  #incompleteListings = 0;
  #lastCompleteMs: number | undefined;

  constructor(options: { readonly clock: Pick<Clock, 'now'>; readonly logger: Logger }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  note({ children, isComplete }: CharonListing, { before, after }: ToldSas): void {
    const [toldBefore, toldNow] = [namesOf(before), namesOf(after)];
    const listed = new Map<string, ChildSaView>();
    for (const child of children) {
      const { protocol, inboundSpi, outboundSpi } = child;
      if (inboundSpi !== undefined) {
        listed.set(listedName({ direction: 'inbound', protocol, spi: inboundSpi }), child);
      }
      if (outboundSpi !== undefined) {
        listed.set(listedName({ direction: 'outbound', protocol, spi: outboundSpi }), child);
      }
    }
    // One that is being updated shows no SPIs: it may be any.
    const isConclusive = isComplete && children.every(({ inboundSpi }) => inboundSpi !== undefined);
    this.#count(isComplete);
    const untold = [...listed].filter(
      ([name, { state }]) => state === 'INSTALLED' && !toldBefore.has(name) && !toldNow.has(name),
    );
    this.#update(
      'untold',
      untold.map(([name, { name: child, childId }]) => ({ name, childSa: `${child}{${childId}}` })),
      (name) => isConclusive || toldNow.has(name),
    );
    const unlisted = [...toldNow].filter((name) => toldBefore.has(name) && !listed.has(name));
    this.#update(
      'unlisted',
      isConclusive ? unlisted.map((name) => ({ name, childSa: undefined })) : [],
      (name) => isConclusive || listed.has(name) || !toldNow.has(name),
    );
  }

  report(): AuditReport {
    const nowMs = this.#clock.now();
    const findings = (['untold', 'unlisted'] as const).flatMap((kind) =>
      [...this.#suspects[kind].values()]
        .filter(({ listings }) => listings >= 2)
        .map(({ sa, childSa, firstMs }) => ({
          ...{ kind, sa, childSa: childSa ?? null },
          sinceSeconds: Math.round((nowMs - firstMs) / 1000),
        })),
    );
    const ageMs = this.#lastCompleteMs === undefined ? undefined : nowMs - this.#lastCompleteMs;
    return {
      completeListings: this.#completeListings,
      incompleteListings: this.#incompleteListings,
      lastCompleteSecondsAgo: ageMs === undefined ? null : Math.round(ageMs / 1000),
      findings,
    };
  }

  /** What was found of one SA. */
  findingOf(id: Pick<SaId, 'direction' | 'protocol' | 'spi'>): FindingKind | undefined {
    const name = listedName(id);
    return (['untold', 'unlisted'] as const).find(
      (kind) => (this.#suspects[kind].get(name)?.listings ?? 0) >= 2,
    );
  }

  #count(isComplete: boolean): void {
    if (isComplete) {
      this.#completeListings += 1;
      this.#lastCompleteMs = this.#clock.now();
    } else this.#incompleteListings += 1;
  }

  #update(
    kind: FindingKind,
    seen: readonly { readonly name: string; readonly childSa: string | undefined }[],
    isCleared: (name: string) => boolean,
  ): void {
    const suspects = this.#suspects[kind];
    const names = new Set(seen.map(({ name }) => name));
    for (const [name, { sa, listings }] of suspects) {
      if (names.has(name) || !isCleared(name)) continue;
      suspects.delete(name);
      if (listings >= 2) this.#logger.info({ kind, sa }, 'charon and its plugin agree on an SA again');
    }
    for (const { name, childSa } of seen) {
      const suspect = suspects.get(name) ?? { sa: name, childSa, firstMs: this.#clock.now(), listings: 0 };
      suspect.listings += 1;
      suspects.set(name, suspect);
      if (suspect.listings === 2) this.#logger.error({ sa: name, childSa }, MESSAGES[kind]);
    }
  }
}
