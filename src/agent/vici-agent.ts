import { Registry } from 'prom-client';
import { LagopusDataplane, superviseDataplane } from '../lagopus/index.ts';
import { type ActualSa, observedKey, type SaKey, type Spi } from '../sad/index.ts';
import { hasSpi, tellStories } from '../sync/index.ts';
import { systemClock } from '../util/index.ts';
import { ViciClient } from '../vici/index.ts';
import { askIfPossible } from './ask-if-possible.ts';
import { CharonObserver } from './charon-observer.ts';
import { findCharonSas } from './charon-sas.ts';
import type { AgentConfig } from './config.ts';
import { startControlServer } from './control-server.ts';
import { readDataplaneStatus } from './dataplane-status.ts';
import { toExplainReport } from './explain-report.ts';
import { LinkStatus } from './link-status.ts';
import { StatusMetrics } from './metrics.ts';
import { startMetricsServer } from './metrics-server.ts';
import { type Observed, toObservedDiff, toObservedPlan } from './observed-report.ts';
import type { ExplainReport, StatusReport } from './reports.ts';
import { RestartCount } from './restart-count.ts';
import type { RunAgentOptions } from './run-options.ts';
import { readSad } from './sad-report.ts';
import { parseSpi } from './spi-text.ts';
import { ViciTunnels } from './vici-tunnels.ts';

const NOTHING = { added: 0, updated: 0, deleted: 0, failed: 0, unknown: 0 } as const;

/** What an engine would add to a story. */
const NO_ENGINE = {
  desired: new Map(),
  pending: [],
  backOffs: { get: () => undefined },
  rekeys: { get: () => undefined },
  expired: new Set<SaKey>(),
} as const;

type Call = { readonly signal: AbortSignal };

/**
 * The agent with `source: vici`: follows any charon, shows and compares, until the signal aborts. It has
 * no keys, installs nothing, deletes nothing, and never takes the writer's role in the dataplane.
 *
 * @throws AgentError when the control socket or the TLS files cannot be used
 */
export async function runViciAgent(config: AgentConfig, options: RunAgentOptions): Promise<void> {
  const { logger, version } = options;
  const clock = systemClock;
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const { target, tls, insecure, owner } = config.dataplane;
  await using dataplane = await LagopusDataplane.open({
    ...{ target, tls },
    isInsecure: insecure,
    ownerId: owner,
  });
  await using client = new ViciClient({ uri: config.vici.uri });
  const links = { vici: new LinkStatus('vici', logger), dataplane: new LinkStatus('dataplane', logger) };
  const observer = new CharonObserver({
    ...{ client, clock, status: links.vici },
    intervalMs: config.auditIntervalMs,
  });
  const restarts = new RestartCount();
  let bootId: string | undefined;

  const compare = async (call: Call): Promise<Observed> => {
    await observer.look(call);
    return await observed(call);
  };
  const observed = async (call: Call): Promise<Observed> => {
    const { sas: actual } = await dataplane.listSas(new Uint8Array(0), call);
    const listedMs = clock.now();
    return {
      sas: observer.sas,
      isComplete: observer.isLastComplete,
      actual,
      absences: ({ sa, ageMs }: ActualSa) => observer.absences(observedKey(sa.id), listedMs - Number(ageMs)),
    };
  };
  const status = async (): Promise<StatusReport> => {
    const { spiSlots, notes } = await readDataplaneStatus(dataplane, links.dataplane);
    return {
      version,
      source: 'vici',
      isReady: false,
      plugin: null,
      vici: links.vici.report,
      dataplane: links.dataplane.report,
      charonInstanceId: null,
      dataplaneBootId: bootId ?? null,
      desired: { sas: observer.sas.size, policies: 0 },
      actual: null,
      spiSlots,
      dataplaneNotes: notes,
      pending: 0,
      repairs: [],
      rekeys: { wanted: 0, asked: 0 },
      withheld: { foreign: [], braked: [] },
      setups: [],
      totals: { ...NOTHING, operations: 0, cycles: 0, initiations: 0 },
      cycles: { sums: NOTHING, last: null },
      restarts: { charon: 0, dataplane: restarts.count },
      requests: [],
      latency: [],
      audit: observer.report(),
    };
  };
  const explain = async (spi: Spi, call: Call): Promise<ExplainReport> => {
    const unasked: string[] = [];
    const ask = <T>(who: string, question: (limited: AbortSignal) => Promise<T>): Promise<T | undefined> =>
      askIfPossible(question, { ...call, onFailure: (reason) => unasked.push(`${who}: ${reason}`) });
    const [charon, known] = await Promise.all([
      ask('charon', (limited) => findCharonSas(client, spi, { signal: limited })),
      ask('the dataplane', (limited) => observed({ signal: limited })),
    ]);
    return toExplainReport({
      ...{ spi, charon, unasked },
      source: 'vici',
      now: new Date(),
      stories: tellStories({ ...NO_ENGINE, nowMs: clock.now(), journal: observer.journal }, hasSpi(spi)),
      actual: known?.actual,
      plan: known && toObservedPlan(known),
      knownSpis: [...observer.sas.values()].map(({ id }) => id.spi),
      nextComparisonInMs: undefined,
      remarksOn: () => ['nothing: with `source: vici` nothing is installed and nothing deleted'],
    });
  };

  await using _control = await startControlServer(
    config.control.socket,
    {
      status,
      diff: async (call) => toObservedDiff(await compare(call)),
      plan: async (call) => toObservedPlan(await compare(call)),
      sad: (call) => readSad(dataplane, new ViciTunnels(client), call),
      explain: (spi, call) => explain(parseSpi(spi), call),
    },
    logger,
    config.control,
  );
  const metrics = new StatusMetrics(new Registry(), status);
  await using _metrics = config.metrics && (await startMetricsServer(config.metrics.listen, metrics, logger));
  logger.info(
    { version, control: config.control.socket },
    'agent started with source vici: it shows and compares, and installs nothing',
  );
  const tasks = [
    observer.run({ signal }),
    superviseDataplane({
      ...{ dataplane, logger, signal },
      onUp: (capabilities) => {
        bootId = capabilities.bootId;
        restarts.note(bootId);
        links.dataplane.connected(capabilities.server);
      },
      onDown: (reason) => links.dataplane.lost(reason),
      onEvent: () => undefined,
      onState: (state) => {
        if (state.kind === 'connecting' && state.reason !== undefined) links.dataplane.lost(state.reason);
      },
    }),
  ];
  try {
    await Promise.all(tasks);
  } finally {
    failure.abort(new Error('the agent is stopping'));
    await Promise.allSettled(tasks);
  }
  logger.info('agent stopped');
}
