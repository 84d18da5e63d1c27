import type { FlowReport, PacketFlow } from '../../support/index.ts';

/** What became of all numbered packets. */
export type FlowTotals = {
  readonly sent: number;
  readonly lost: number;
  /** Of these, after everything had converged. */
  readonly lostAfter: number;
  readonly duplicates: number;
  /** Flows that lost some. */
  readonly affected: number;
  readonly longestSilenceMs: number;
};

/** Numbered packets on several ways at once. */
export class Flows implements AsyncDisposable {
  readonly #flows: readonly PacketFlow[];
  /** The first number of each flow that had not been seen when everything had converged. */
  #marks: readonly number[] = [];

  constructor(flows: readonly PacketFlow[]) {
    this.#flows = flows;
  }

  /** Waits until more has arrived everywhere. */
  async flow(packets = 20, timeoutMs = 20_000): Promise<void> {
    await Promise.all(
      this.#flows.map(async (flow) => {
        const { received } = await flow.received();
        await flow.waitReceived(received + packets, timeoutMs);
      }),
    );
  }

  /** From now on nothing may be lost. */
  async mark(): Promise<void> {
    const counts = await Promise.all(this.#flows.map((flow) => flow.received()));
    this.#marks = counts.map(({ received, missing }) => received + missing);
  }

  async finish(): Promise<FlowTotals> {
    const reports = await Promise.all(this.#flows.map((flow) => flow.finish()));
    const sum = (figure: (report: FlowReport) => number): number =>
      reports.reduce((total, report) => total + figure(report), 0);
    return {
      sent: sum(({ sent }) => sent),
      lost: sum(({ lost }) => lost),
      lostAfter: reports.reduce(
        (total, report, index) => total + lostFrom(report, this.#marks[index] ?? 0),
        0,
      ),
      duplicates: sum(({ duplicates }) => duplicates),
      affected: reports.filter(({ lost }) => lost > 0).length,
      longestSilenceMs: Math.max(...reports.map(({ longestSilenceMs }) => longestSilenceMs)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#flows.map((flow) => flow[Symbol.asyncDispose]()));
  }
}

/** Numbers that did not arrive, of `first` and above. */
function lostFrom({ sent, received, missing, gaps }: FlowReport, first: number): number {
  const highest = received + missing;
  const inGaps = gaps.filter((gap) => gap.first >= first).reduce((total, { count }) => total + count, 0);
  return inGaps + (sent - highest);
}
