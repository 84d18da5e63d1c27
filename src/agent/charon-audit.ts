import { type Direction, formatSpi, type IpsecProtocol, type SaId, toSpi } from '../sad/index.ts';
import type { ChildSaListing, ChildSaView } from '../sync/index.ts';
import type { Clock, Logger } from '../util/index.ts';
import type { AuditReport } from './reports.ts';

/** SAs the plugin has told of: when the listing was asked for, and now that it is here. */
export type ToldSas = { readonly before: readonly SaId[]; readonly after: readonly SaId[] };

type FindingKind = AuditReport['findings'][number]['kind'];

type Seen = { readonly code: number; readonly childSa: string | undefined };

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

type ListedId = Pick<SaId, 'direction' | 'protocol' | 'spi'>;

/**
 * Direction, protocol and SPI as one number: there are many, often. A listing names no addresses, so
 * that two outbound SAs of one SPI, to two peers, count as one here.
 */
function codeOf(direction: Direction, protocol: IpsecProtocol, spi: number): number {
  return spi * 4 + (direction === 'outbound' ? 2 : 0) + (protocol === 'ah' ? 1 : 0);
}

function codesOf(ids: readonly ListedId[]): ReadonlySet<number> {
  const codes = new Set<number>();
  for (const { direction, protocol, spi } of ids) codes.add(codeOf(direction, protocol, spi));
  return codes;
}

function describeCode(code: number): string {
  const spi = toSpi(Math.floor(code / 4));
  return `${code & 2 ? 'outbound' : 'inbound'} ${code & 1 ? 'ah' : 'esp'} ${formatSpi(spi)}`;
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
  readonly #suspects: Readonly<Record<FindingKind, Map<number, Suspect>>> = {
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

  note({ children, isComplete }: ChildSaListing, { before, after }: ToldSas): void {
    const [toldBefore, toldNow] = [codesOf(before), codesOf(after)];
    const listed = new Map<number, ChildSaView>();
    for (const child of children) {
      const { protocol, inboundSpi, outboundSpi } = child;
      if (inboundSpi !== undefined) listed.set(codeOf('inbound', protocol, inboundSpi), child);
      if (outboundSpi !== undefined) listed.set(codeOf('outbound', protocol, outboundSpi), child);
    }
    // One that is being updated shows no SPIs: it may be any.
    const isConclusive = isComplete && children.every(({ inboundSpi }) => inboundSpi !== undefined);
    this.#count(isComplete);
    const untold: Seen[] = [];
    for (const [code, { state, name, childId }] of listed) {
      if (state !== 'INSTALLED' || toldBefore.has(code) || toldNow.has(code)) continue;
      untold.push({ code, childSa: `${name}{${childId}}` });
    }
    this.#update('untold', untold, (code) => isConclusive || toldNow.has(code));
    const unlisted: Seen[] = [];
    for (const code of isConclusive ? toldNow : []) {
      if (toldBefore.has(code) && !listed.has(code)) unlisted.push({ code, childSa: undefined });
    }
    this.#update('unlisted', unlisted, (code) => isConclusive || listed.has(code) || !toldNow.has(code));
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
  findingOf({ direction, protocol, spi }: ListedId): FindingKind | undefined {
    const code = codeOf(direction, protocol, spi);
    return (['untold', 'unlisted'] as const).find(
      (kind) => (this.#suspects[kind].get(code)?.listings ?? 0) >= 2,
    );
  }

  #count(isComplete: boolean): void {
    if (isComplete) {
      this.#completeListings += 1;
      this.#lastCompleteMs = this.#clock.now();
    } else this.#incompleteListings += 1;
  }

  #update(kind: FindingKind, seen: readonly Seen[], isCleared: (code: number) => boolean): void {
    const suspects = this.#suspects[kind];
    const codes = new Set(seen.map(({ code }) => code));
    for (const [code, { sa, listings }] of suspects) {
      if (codes.has(code) || !isCleared(code)) continue;
      suspects.delete(code);
      if (listings >= 2) this.#logger.info({ kind, sa }, 'charon and its plugin agree on an SA again');
    }
    for (const { code, childSa } of seen) {
      const sa = describeCode(code);
      const suspect = suspects.get(code) ?? { sa, childSa, firstMs: this.#clock.now(), listings: 0 };
      suspect.listings += 1;
      suspects.set(code, suspect);
      if (suspect.listings === 2) this.#logger.error({ sa, childSa }, MESSAGES[kind]);
    }
  }
}
