import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { LagopusDataplane, superviseDataplane } from '../lagopus/index.ts';
import { SyncEngine } from '../sync/index.ts';
import { AgentError, type Logger, systemClock } from '../util/index.ts';
import { ViciClient } from '../vici/index.ts';
import { CharonLink } from './charon-link.ts';
import type { AgentConfig } from './config.ts';
import { startControlServer } from './control-server.ts';
import { toDiffReport } from './diff-report.ts';
import { LinkStatus } from './link-status.ts';
import type { StatusReport } from './reports.ts';
import { toSadReport } from './sad-report.ts';
import { followCharon } from './vici-link.ts';
import { ViciTunnels } from './vici-tunnels.ts';

export type RunAgentOptions = {
  readonly logger: Logger;
  readonly version: string;
  readonly signal: AbortSignal;
};

/** A listing with names waits this long for VICI, and goes without them then. */
const NAMES_DEADLINE_MS = 2_000;

/** Less than charon waits, so that it gets a reason and not a missed deadline. */
const APPLY_DEADLINE_MS = 800;

/**
 * Wires everything and runs until the signal aborts. What the dataplane holds stays
 * there: the next agent finds it.
 *
 * @throws AgentError when the control socket or the TLS files cannot be used
 */
export async function runAgent(config: AgentConfig, options: RunAgentOptions): Promise<void> {
  const { logger, version } = options;
  const clock = systemClock;
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);

  await using dataplane = await LagopusDataplane.open({
    target: config.dataplane.target,
    tls: config.dataplane.tls,
    isInsecure: config.dataplane.insecure,
    ownerId: config.dataplane.owner,
    agentId: `${hostname()} pid ${process.pid} ${randomBytes(4).toString('hex')}`,
  });
  await using vici = new ViciClient({ uri: config.vici.uri });
  const tunnels = new ViciTunnels(vici);
  const links = {
    plugin: new LinkStatus('plugin', logger),
    vici: new LinkStatus('vici', logger),
    dataplane: new LinkStatus('dataplane', logger),
  };
  await using engine = new SyncEngine({
    ...{ dataplane, tunnels, clock, logger, random: randomBytes },
    applyDeadlineMs: APPLY_DEADLINE_MS,
    brake: config.brake,
    auditIntervalMs: config.auditIntervalMs,
    usageIntervalMs: config.usageIntervalMs,
    onReadiness: (readiness) => charon.readiness(readiness),
    onUsage: (usage) => charon.usage(usage),
  });
  const charon = new CharonLink({
    socketPath: config.plugin.socket,
    server: `ipsec-agent ${version}`,
    ...{ engine, clock, logger, status: links.plugin },
    probe: async () => {
      await dataplane.capabilities({ signal });
    },
  });

  await using _control = await startControlServer(
    config.control.socket,
    {
      status: () => statusReport(version, engine, links),
      diff: async (call) => toDiffReport(await engine.diff(call)),
      sad: async ({ signal: callSignal }) => {
        const [{ sas }, { policies }, children] = await Promise.all([
          dataplane.listSas(new Uint8Array(0), { signal: callSignal }),
          dataplane.listPolicies({ signal: callSignal }),
          childSasIfPossible(tunnels, callSignal),
        ]);
        return toSadReport({ sas, policies }, children);
      },
    },
    logger,
  );
  logger.info({ version, control: config.control.socket }, 'agent started');

  const tasks = [
    charon.run({ signal }),
    followCharon(
      {
        ...{ client: vici, tunnels, engine, clock, logger, status: links.vici },
        auditIntervalMs: config.auditIntervalMs,
      },
      { signal },
    ),
    superviseDataplane({
      ...{ dataplane, logger, signal },
      onUp: (capabilities) => {
        links.dataplane.connected(capabilities.server);
        engine.dataplaneUp(capabilities);
      },
      onDown: (reason) => {
        links.dataplane.lost(reason);
        engine.dataplaneDown(reason);
      },
      onEvent: (event) => {
        engine.dataplaneEvent(event);
        charon.event(event);
      },
      onState: (state) => {
        if (state.kind === 'connecting' && state.reason !== undefined) links.dataplane.lost(state.reason);
      },
    }),
  ];
  try {
    await Promise.all(tasks);
  } finally {
    // One that failed takes the others along.
    failure.abort(new Error('the agent is stopping'));
    await Promise.allSettled(tasks);
  }
  logger.info('agent stopped');
}

async function childSasIfPossible(
  tunnels: ViciTunnels,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<ViciTunnels['listChildSas']>>> {
  try {
    return await tunnels.listChildSas({
      signal: AbortSignal.any([signal, AbortSignal.timeout(NAMES_DEADLINE_MS)]),
    });
  } catch (error) {
    if (error instanceof AgentError) return [];
    throw error;
  }
}

function statusReport(
  version: string,
  engine: SyncEngine,
  links: Readonly<Record<'plugin' | 'vici' | 'dataplane', LinkStatus>>,
): StatusReport {
  const status = engine.status();
  const { added, updated, deleted, failed, unknown, operations, cycles, initiationsAsked } = status.counters;
  return {
    version,
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
    pending: status.waitingRequests + status.repairs.length + status.rekeys.length,
    repairs: status.repairs,
    withheld: status.withheld,
    setups: status.setups,
    totals: { added, updated, deleted, failed, unknown, operations, cycles, initiations: initiationsAsked },
  };
}
