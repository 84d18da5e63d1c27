import type { Algorithm } from './algorithm.ts';
import { ALGORITHMS } from './algorithm.ts';
import { PEER_NAMES, type PeerName, whyImpossible } from './impossible.ts';
import type { Outcome } from './outcome.ts';
import type { Result, Results } from './results.ts';
import { allRows, type Row, rowName } from './row.ts';

/** What the peers are called. */
type Titles = Readonly<Record<PeerName, string>>;

type Shown = Outcome | { readonly kind: 'not run' };

const MARKS: Readonly<Record<Shown['kind'], string>> = {
  passed: '✓',
  refused: 'r',
  impossible: '–',
  failed: '✗',
  'not run': '·',
};

const KINDS = ['passed', 'refused', 'impossible', 'failed', 'not run'] as const;

const INTRODUCTION = `# Conformance

Made by \`npm run conformance -- --full\`; do not edit (\`--peer\`, \`--only\`, \`--minutes\` and
\`--open\` run parts of it; the page is made of the last outcome of every cell). Two real charons negotiate each
row, ours with the embedded dataplane behind it, the other with one of three ESP and AH implementations. A
cell passes when

* charon lists the row's algorithms, key length, mode, encapsulation and ESN for the CHILD_SA;
* UDP datagrams of 0, 1, 100, 1372, 1400, 8000 and 65,000 bytes come back unchanged, started from either end
  (but not those that Linux drops: ESP of less than 40 bytes in UDP over IPv6);
* our dataplane, the peer and a capture of the wire between them count the same packets, and neither end
  dropped one; the Linux kernel names the row's algorithms, key and ICV lengths;
* on the wire: the SPIs, the form (ESP, AH, UDP port 4500), sequence numbers 1, 2, 3 ..., every IV once, the
  length that the RFCs give for each small datagram to the byte (that tells IV, padding and ICV), whole
  blocks for all others, and the payload's text nowhere but where nothing encrypts it.

What is measured against is written down in \`test/conformance/algorithm.ts\`, apart from the product.

| mark | meaning |
|---|---|
| ✓ | passes |
| r | our dataplane does not do it, tells so in \`GetCapabilities\`, and refuses the SA while it is negotiated |
| – | cannot exist with this peer; not tried |
| ✗ | fails |
| · | not run |

A cell has two marks: without and with extended sequence numbers. Numbers point to the reasons at the end.
\`npm test\` runs a pairwise cover of all this: every pair of values of two factors is in some row.
`;

/** The whole page. */
export function conformancePage(results: Results, titles: Titles): string {
  const reasons = new Reasons();
  const tables = PEER_NAMES.flatMap((peer) => peerTables(peer, titles[peer], results, reasons));
  return [INTRODUCTION, summary(results, titles), impossibleRows(titles), ...tables, reasons.section()].join(
    '\n',
  );
}

function shownOf(peer: PeerName, row: Row, results: Results): Shown {
  const reason = whyImpossible(row, peer);
  if (reason !== undefined) return { kind: 'impossible', reason };
  return results.find(peer, rowName(row))?.outcome ?? { kind: 'not run' };
}

function summary(results: Results, titles: Titles): string {
  const rows = allRows();
  const lines = PEER_NAMES.map((peer) => {
    const counts = countKinds(rows.map((row) => shownOf(peer, row, results)));
    const run = rows.map((row) => results.find(peer, rowName(row))).filter((result) => result !== undefined);
    return `| ${titles[peer]} | ${KINDS.map((kind) => counts[kind]).join(' | ')} | ${rows.length} | ${whenRun(run)} |`;
  });
  return [
    '## Summary\n',
    `| peer | ${KINDS.join(' | ')} | rows | run (UTC), at commit |`,
    `|---|${'---:|'.repeat(KINDS.length + 1)}---|`,
    ...lines,
    '',
  ].join('\n');
}

/** Why rows are not tried, each reason with its number of rows; most of them are in no table. */
function impossibleRows(titles: Titles): string {
  const lines = PEER_NAMES.flatMap((peer) => {
    const reasons = allRows()
      .map((row) => whyImpossible(row, peer))
      .filter((reason) => reason !== undefined);
    return [...Map.groupBy(reasons, (reason) => reason)].map(
      ([reason, rows]) => `| ${titles[peer]} | ${reason} | ${rows.length} |`,
    );
  });
  return ['## Rows that cannot exist\n', '| peer | why | rows |', '|---|---|---:|', ...lines, ''].join('\n');
}

/** Counts of each kind. */
export function countKinds(shown: readonly Shown[]): Readonly<Record<Shown['kind'], number>> {
  const counts = { passed: 0, refused: 0, impossible: 0, failed: 0, 'not run': 0 };
  for (const { kind } of shown) counts[kind] += 1;
  return counts;
}

/** One line for each commit that some cell was last run at. */
function whenRun(results: readonly Result[]): string {
  const byCommit = Map.groupBy(results, ({ commit }) => commit);
  return [...byCommit]
    .map(([commit, cells]) => {
      const times = cells.map(({ at }) => at).sort();
      return `${cells.length}: ${times[0]} to ${times.at(-1)?.slice(11)}, ${commit}`;
    })
    .join('<br>');
}

function peerTables(peer: PeerName, title: string, results: Results, reasons: Reasons): readonly string[] {
  const kinds = (['esp', 'ah'] as const).flatMap((protocol) =>
    (['tunnel', 'transport'] as const).map((mode) => ({ protocol, mode })),
  );
  const tables = kinds.flatMap(({ protocol, mode }) => {
    const algorithms = ALGORITHMS.filter((algorithm) => algorithm.protocol === protocol);
    const columns = columnsOf(mode).filter(
      ({ encapsulation }) => protocol === 'esp' || encapsulation === 'plain',
    );
    const cells = algorithms.map((algorithm) => ({
      algorithm,
      cells: columns.map((column) => cell(peer, { ...column, algorithm }, results)),
    }));
    const kept = cells.filter(({ cells: all }) => all.flat().some(({ kind }) => kind !== 'impossible'));
    if (kept.length === 0) return [];
    const head = columns.map(({ outer, inner, encapsulation }) => {
      const families = mode === 'tunnel' ? `IPv${inner} in IPv${outer}` : `IPv${outer}`;
      return encapsulation === 'udp' ? `${families}, UDP` : families;
    });
    return [
      `### ${protocol.toUpperCase()}, ${mode} mode\n`,
      `| ${protocol === 'esp' ? 'esp_proposals' : 'ah_proposals'} | ${head.join(' | ')} |`,
      `|---|${':---:|'.repeat(columns.length)}`,
      ...kept.map(
        ({ algorithm, cells: all }) =>
          `| ${algorithm.proposal} | ${all.map((pair) => pair.map((one) => reasons.mark(one)).join(' ')).join(' | ')} |`,
      ),
      '',
    ];
  });
  return [`## With ${title}\n`, ...tables];
}

type Column = Omit<Row, 'algorithm' | 'esn'>;

function columnsOf(mode: Row['mode']): readonly Column[] {
  return ([4, 6] as const).flatMap((outer) =>
    (mode === 'tunnel' ? ([4, 6] as const) : [outer]).flatMap((inner) =>
      (['plain', 'udp'] as const).map((encapsulation) => ({ mode, outer, inner, encapsulation })),
    ),
  );
}

function cell(
  peer: PeerName,
  row: Column & { readonly algorithm: Algorithm },
  results: Results,
): readonly Shown[] {
  return [false, true].map((esn) => shownOf(peer, { ...row, esn }, results));
}

/** Reasons by number, each once; numbers in them (SPIs, counts) make no difference. */
class Reasons {
  readonly #entries = new Map<string, { readonly number: number; readonly text: string; count: number }>();

  /** A cell's mark, with the number of its reason. */
  mark(shown: Shown): string {
    if (!('reason' in shown)) return MARKS[shown.kind];
    const text = shown.reason.split('\n')[0] ?? '';
    const key = `${shown.kind} ${text.replaceAll(/\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b|\b\d+\b/g, 'N')}`;
    const entry = this.#entries.get(key) ?? { number: this.#entries.size + 1, text, count: 0 };
    entry.count += 1;
    this.#entries.set(key, entry);
    return `${MARKS[shown.kind]}${superscript(entry.number)}`;
  }

  section(): string {
    const lines = [...this.#entries].map(
      ([key, { number, text, count }]) =>
        `${number}. (${key.split(' ')[0]}, ${count} times) ${text.replaceAll('|', '/')}`,
    );
    return ['## Reasons\n', ...(lines.length === 0 ? ['None.'] : lines), ''].join('\n');
  }
}

function superscript(number: number): string {
  return [...String(number)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('');
}
