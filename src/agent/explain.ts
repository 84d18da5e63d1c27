import type { Spi } from '../sad/index.ts';
import type { DataplanePort, SyncEngine } from '../sync/index.ts';
import type { ViciClient } from '../vici/index.ts';
import { askIfPossible } from './ask-if-possible.ts';
import type { CharonAudit } from './charon-audit.ts';
import { findCharonSas } from './charon-sas.ts';
import { toExplainReport } from './explain-report.ts';
import { toPlanReport } from './plan-report.ts';
import type { ExplainReport } from './reports.ts';

export type ExplainParts = {
  readonly engine: Pick<SyncEngine, 'explain' | 'plan' | 'status' | 'desired'>;
  readonly dataplane: Pick<DataplanePort, 'listSas'>;
  readonly vici: Pick<ViciClient, 'listSaSummaries' | 'listSas'>;
  readonly audit: CharonAudit;
};

const FINDINGS = {
  untold: 'charon lists it and its plugin has not told of it: rekey the CHILD_SA',
  unlisted: 'the plugin has it and charon lists it no more: it ends with its lifetime',
} as const;

/** Asks everybody who may know of an SPI; who does not answer is named. */
export async function explain(
  spi: Spi,
  { engine, dataplane, vici, audit }: ExplainParts,
  { signal }: { readonly signal: AbortSignal },
): Promise<ExplainReport> {
  const unasked: string[] = [];
  const ask = <T>(who: string, question: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> =>
    askIfPossible(question, { signal, onFailure: (reason) => unasked.push(`${who}: ${reason}`) });
  const [charon, listing, dryRun] = await Promise.all([
    ask('charon', (limited) => findCharonSas(vici, spi, { signal: limited })),
    ask('the dataplane', (limited) => dataplane.listSas(new Uint8Array(0), { signal: limited })),
    ask('the comparison', (limited) => engine.plan({ signal: limited })),
  ]);
  const { nextCycleInMs } = engine.status();
  return toExplainReport({
    ...{ spi, charon, unasked },
    source: 'plugin',
    now: new Date(),
    stories: engine.explain(spi),
    actual: listing?.sas,
    plan: dryRun && toPlanReport(dryRun),
    knownSpis: engine.desired().sas.map(({ id }) => id.spi),
    nextComparisonInMs: Number.isFinite(nextCycleInMs) ? nextCycleInMs : undefined,
    remarksOn: (id) => {
      const finding = audit.findingOf(id);
      return finding === undefined ? [] : [FINDINGS[finding]];
    },
  });
}
