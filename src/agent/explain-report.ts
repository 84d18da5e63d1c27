import {
  type ActualSa,
  formatAlgorithms,
  formatSpi,
  type SaId,
  type SecurityAssociation,
  type Spi,
  saKey,
} from '../sad/index.ts';
import type { SaStory, SaTransition } from '../sync/index.ts';
import { type CharonSa, charonSaName } from './charon-sas.ts';
import type { CharonSaEntry, ExplainReport, PlanReport, SaExplanation } from './reports.ts';
import { toSadEntry } from './sad-report.ts';
import { nearMisses } from './spi-text.ts';

/** What could be learnt of an SPI, from whom. Undefined: could not be asked. */
export type ExplainSources = {
  readonly spi: Spi;
  readonly source: 'plugin' | 'vici';
  readonly now: Date;
  readonly stories: readonly SaStory[];
  readonly charon: { readonly sas: readonly CharonSa[]; readonly spis: readonly Spi[] } | undefined;
  readonly actual: readonly ActualSa[] | undefined;
  readonly plan: PlanReport | undefined;
  /** Other SPIs that are known. */
  readonly knownSpis: Iterable<Spi>;
  /** Undefined when none is due. */
  readonly nextComparisonInMs: number | undefined;
  /** What else there is to say of an SA. */
  readonly remarksOn: (id: Pick<SaId, 'direction' | 'protocol' | 'spi'>) => readonly string[];
  readonly unasked: readonly string[];
};

const WORDS: Readonly<Record<SaTransition, string>> = {
  'in-snapshot': "in charon's snapshot",
  installed: 'installed',
  restored: 'restored by a comparison',
  moved: 'moved',
  refused: 'refused',
  'given-up': 'given up, charon was told to try again',
  unanswered: 'no answer from the dataplane',
  'read-back': 'read back',
  deleted: 'deleted',
  left: 'charon has it no more',
  missing: 'missing in the dataplane',
  different: 'different in the dataplane',
  unexpected: 'found in the dataplane without charon having it',
  failed: 'repair failed',
  'soft-expired': 'soft lifetime reached',
  'hard-expired': 'lifetime ended in the dataplane',
  'sequence-overflow': 'no sequence numbers left',
  'rekey-asked': 'charon was asked to rekey',
  listed: 'listed by charon',
};

/** What VICI tells of an SA's key: neither mark nor if_id. */
function isNamedBy(key: string, charonName: string): boolean {
  return key === charonName || key.startsWith(`${charonName} `);
}

/** Puts together who has each SA of an SPI, and what becomes of it. */
export function toExplainReport(sources: ExplainSources): ExplainReport {
  const { spi, source, stories, charon, actual = [], knownSpis, unasked } = sources;
  const held = actual.filter(({ sa }) => sa.id.spi === spi);
  const keys = new Set<string>([...stories.map(({ key }) => key), ...held.map(({ sa }) => saKey(sa.id))]);
  for (const name of (charon?.sas ?? []).map(charonSaName)) {
    if (![...keys].some((key) => isNamedBy(key, name))) keys.add(name);
  }
  const sas = [...keys].sort().map((key) => explainOne(key, { ...sources, held }));
  const known = [...knownSpis, ...actual.map(({ sa }) => sa.id.spi), ...(charon?.spis ?? [])];
  return {
    ...{ spi: formatSpi(spi), source, sas, unasked },
    nearMisses: sas.length > 0 ? [] : nearMisses(spi, known),
  };
}

function explainOne(
  key: string,
  sources: ExplainSources & { readonly held: readonly ActualSa[] },
): SaExplanation {
  const { spi, now, stories, charon, held, remarksOn } = sources;
  const [first, second, , destination = '', ...qualifiers] = key.split(' ');
  const direction = first === 'outbound' ? 'outbound' : 'inbound';
  const protocol = second === 'ah' ? 'ah' : 'esp';
  const story = stories.find((candidate) => candidate.key === key);
  const listed = charon?.sas.find((sa) => isNamedBy(key, charonSaName(sa)))?.entry;
  const actual = held.find(({ sa }) => saKey(sa.id) === key);
  return {
    ...{ direction, protocol, destination },
    spi: formatSpi(spi),
    qualifiers: qualifiers.join(' '),
    charon: listed ?? null,
    desired: story?.desired === undefined ? null : describeDesired(story.desired),
    dataplane: actual === undefined ? null : toSadEntry(actual, listed?.childSa),
    pending: pendingOf(story),
    story: (story?.journal ?? []).map(({ kind, detail, times, firstAgoMs, lastAgoMs }) => ({
      at: new Date(now.getTime() - lastAgoMs).toISOString(),
      agoSeconds: Math.round(lastAgoMs / 1000),
      what: WORDS[kind],
      times,
      firstAgoSeconds: Math.round(firstAgoMs / 1000),
      detail: detail ?? null,
    })),
    next: [...remarksOn({ direction, protocol, spi }), ...nextOf(key, { ...sources, story, listed, actual })],
  };
}

function describeDesired(sa: SecurityAssociation): SaExplanation['desired'] {
  return {
    source: sa.source,
    algorithm: formatAlgorithms(sa),
    encapsulation: sa.udpEncapsulation === undefined ? 'none' : 'udp',
    reqid: sa.reqid,
  };
}

function seconds(ms: number): string {
  return ms < 1_000 ? 'now' : `in ${Math.round(ms / 1000)} s`;
}

function pendingOf(story: SaStory | undefined): readonly string[] {
  if (story === undefined) return [];
  const stages = {
    waiting: 'waits to be sent',
    'in-flight': 'is with the dataplane',
    unknown: 'got no answer and is read back',
  } as const;
  const { pending, repair, rekey } = story;
  return [
    ...pending.map(({ stage, what }) => `${what} ${stages[stage]}`),
    ...(repair === undefined
      ? []
      : [
          `repair in back-off after ${repair.attempts} tries (${repair.reason}), again ${seconds(repair.nextTryInMs)}`,
        ]),
    ...(rekey === undefined
      ? []
      : [
          `rekey wanted (${rekey.reason}), asked ${rekey.attempts} times, again ${seconds(rekey.nextTryInMs)}`,
        ]),
    ...(story.isExpired ? ['its lifetime ended in the dataplane; charon has yet to delete it'] : []),
  ];
}

function nextOf(
  key: string,
  {
    story,
    listed,
    actual,
    plan,
    nextComparisonInMs,
  }: Omit<ExplainSources, 'actual'> & {
    readonly story: SaStory | undefined;
    readonly listed: CharonSaEntry | undefined;
    readonly actual: ActualSa | undefined;
  },
): readonly string[] {
  const when = nextComparisonInMs === undefined ? '' : `, ${seconds(nextComparisonInMs)}`;
  const isThis = (what: string): boolean => isNamedBy(what, key);
  const next = [
    ...(plan?.isSent === true ? plan.operations : [])
      .filter(({ what }) => isThis(what))
      .map(({ operation, what }) => `the next comparison${when}: ${operation} ${what}`),
    ...(plan?.rekeys ?? [])
      .filter(({ sa }) => isThis(sa))
      .map(({ nextTryInMs }) => `charon is asked to rekey its CHILD_SA ${seconds(nextTryInMs)}`),
    ...(plan?.withheld ?? [])
      .filter(({ what }) => isThis(what))
      .map(({ reason, nextTryInMs }) =>
        nextTryInMs === null ? reason : `${reason}; again ${seconds(nextTryInMs)}`,
      ),
  ];
  if (plan === undefined && story?.desired !== undefined) {
    next.push('the next comparison decides, when there can be one');
  }
  if (next.length === 0 && (story?.pending.length ?? 0) === 0 && actual !== undefined) {
    next.push('nothing to do');
  }
  const rekeyInSeconds = listed?.rekeyInSeconds ?? 0;
  if (listed?.state === 'INSTALLED' && rekeyInSeconds > 0)
    next.push(`charon rekeys it in ${rekeyInSeconds} s`);
  const lifetime = actual?.sa.hardLifetime.seconds;
  if (actual !== undefined && lifetime !== undefined) {
    next.push(`the dataplane ends it in ${lifetime - actual.ageMs / 1000n} s`);
  }
  return next;
}
