import type { DataplaneStatus } from '../lagopus/index.ts';
import type { SyncEngine } from '../sync/index.ts';
import type { CharonAudit } from './charon-audit.ts';
import type { LinkStatus } from './link-status.ts';
import type { CountsReport, StatusReport } from './reports.ts';
import type { RequestMeter } from './request-meter.ts';
import type { RestartCount } from './restart-count.ts';

export type StatusSources = {
  readonly version: string;
  readonly engine: Pick<SyncEngine, 'status' | 'readiness'>;
  readonly links: Readonly<Record<'plugin' | 'vici' | 'dataplane', LinkStatus>>;
  readonly actual: CountsReport | undefined;
  readonly dataplane: DataplaneStatus;
  readonly restarts: Readonly<Record<'charon' | 'dataplane', RestartCount>>;
  readonly meter: RequestMeter;
  readonly audit: CharonAudit;
};

/** How an agent with `source: plugin` stands. */
export async function toStatusReport(sources: StatusSources): Promise<StatusReport> {
  const { version, engine, links, actual, dataplane, restarts, meter, audit } = sources;
  const [requests, latency] = await Promise.all([meter.requests(), meter.latency()]);
  const status = engine.status();
  const { added, updated, deleted, failed, unknown, operations, cycles, rekeysAsked, initiationsAsked } =
    status.counters;
  return {
    version,
    source: 'plugin',
    // What the dataplane refuses stays in `repairs` and keeps nobody waiting.
    isReady:
      links.plugin.report.state === 'connected' &&
      engine.readiness.kind === 'ready' &&
      status.rekeys.length === 0,
    plugin: links.plugin.report,
    vici: links.vici.report,
    dataplane: links.dataplane.report,
    charonInstanceId: status.charonInstanceId ?? null,
    dataplaneBootId: status.bootId ?? null,
    desired: { sas: status.desiredSas, policies: status.desiredPolicies },
    actual: actual ?? null,
    spiSlots: dataplane.spiSlots,
    dataplaneNotes: dataplane.notes,
    pending: status.waitingRequests + status.repairs.length + status.rekeys.length,
    repairs: status.repairs,
    withheld: status.withheld,
    setups: status.setups,
    rekeys: { wanted: status.rekeys.length, asked: rekeysAsked },
    totals: { added, updated, deleted, failed, unknown, operations, cycles, initiations: initiationsAsked },
    cycles: {
      sums: status.cycleSums,
      last: status.lastCycle === undefined ? null : { ...status.lastCycle, durationMs: status.lastCycleMs },
    },
    restarts: { charon: restarts.charon.count, dataplane: restarts.dataplane.count },
    ...{ requests, latency },
    audit: audit.report(),
  };
}
