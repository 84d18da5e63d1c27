/** What became of a scenario, and what was measured. */
export type Verdict = { readonly held: boolean; readonly figures: string };

/** One way's packets. */
export type FlowCounts = {
  readonly sent: number;
  readonly received: number;
  /** Runs of numbers that did not arrive though a later one did; the first packet's is 0. */
  readonly gaps?: readonly { readonly first: number; readonly count: number }[];
};

const GAPS_SHOWN = 3;

/** Packets from the host behind the router to the peer, and back. */
export type BothWays = { readonly out: FlowCounts; readonly back: FlowCounts };

export function allArrived({ out, back }: BothWays, ...more: readonly string[]): Verdict {
  const held = [out, back].every(({ sent, received }) => sent > 0 && received === sent);
  return { held, figures: [`out ${countsText(out)}, back ${countsText(back)}`, ...more].join('; ') };
}

export function noneArrived(counts: FlowCounts, ...more: readonly string[]): Verdict {
  return {
    held: counts.sent > 0 && counts.received === 0,
    figures: [`out ${countsText(counts)}`, ...more].join('; '),
  };
}

function countsText({ sent, received, gaps = [] }: FlowCounts): string {
  const where = gaps.slice(0, GAPS_SHOWN).map(({ first, count }) => `${count} at ${first}`);
  return `${received} of ${sent}${where.length === 0 ? '' : ` (lost ${where.join(', ')})`}`;
}

export function secondsText(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** `in c452b581`: direction and SPI. */
export type SaNames = readonly string[];

/** Both lists are of SAs in the order they are shown in. */
export function sameSas(charon: SaNames, shown: SaNames): Verdict {
  const missing = charon.filter((name) => !shown.includes(name));
  const unexpected = shown.filter((name) => !charon.includes(name));
  const problems = [
    ...(missing.length > 0 ? [`missing: ${missing.join(', ')}`] : []),
    ...(unexpected.length > 0 ? [`unexpected: ${unexpected.join(', ')}`] : []),
  ];
  const isOrdered = shown.join() === charon.join();
  if (problems.length === 0 && !isOrdered) problems.push(`order: ${shown.join(', ')}`);
  const held = charon.length > 0 && problems.length === 0;
  return { held, figures: [`${charon.length} SAs`, ...problems].join('; ') };
}

/** Everything that the peer's outer interface saw. */
export type WireCounts = {
  readonly esp: number;
  /** ESP packets of an SPI and a sequence number seen before: a key used twice from sequence 1 on. */
  readonly repeated: number;
  readonly ike: number;
  /** With an address of a protected network, outside ESP. */
  readonly clear: number;
  readonly other: number;
};

export function nothingInClear({ esp, repeated, ike, clear, other }: WireCounts): Verdict {
  return {
    held: esp > 0 && clear === 0 && repeated === 0,
    figures: `${clear} in clear, ${esp} ESP, ${repeated} of them repeated, ${ike} IKE, ${other} others`,
  };
}
