import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Registry } from 'prom-client';
import { LagopusDataplane, superviseDataplane } from '../lagopus/index.ts';
import { SyncEngine } from '../sync/index.ts';
import { systemClock } from '../util/index.ts';
import { ViciClient } from '../vici/index.ts';
import { CharonAudit } from './charon-audit.ts';
import { CharonLink } from './charon-link.ts';
import type { AgentConfig } from './config.ts';
import { startControlServer } from './control-server.ts';
import { readDataplaneStatus } from './dataplane-status.ts';
import { toDiffReport } from './diff-report.ts';
import { explain } from './explain.ts';
import { LinkStatus } from './link-status.ts';
import { StatusMetrics } from './metrics.ts';
import { startMetricsServer } from './metrics-server.ts';
import { toPlanReport } from './plan-report.ts';
import type { CountsReport } from './reports.ts';
import { RequestMeter } from './request-meter.ts';
import { RestartCount } from './restart-count.ts';
import type { RunAgentOptions } from './run-options.ts';
import { readSad } from './sad-report.ts';
import { parseSpi } from './spi-text.ts';
import { toStatusReport } from './status-report.ts';
import { runViciAgent } from './vici-agent.ts';
import { followCharon } from './vici-link.ts';
import { ViciTunnels } from './vici-tunnels.ts';
import { createVrfOf } from './vrf-rules.ts';

/** Less than charon waits, so that it gets a reason and not a missed deadline. */
const APPLY_DEADLINE_MS = 800;

/**
 * Wires everything and runs until the signal aborts. What the dataplane holds stays
 * there: the next agent finds it.
 *
 * @throws AgentError when the control socket or the TLS files cannot be used
 */
export async function runAgent(config: AgentConfig, options: RunAgentOptions): Promise<void> {
  if (config.source === 'vici') return await runViciAgent(config, options);
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
  const audit = new CharonAudit({ clock, logger });
  const registry = new Registry();
  const meter = new RequestMeter(registry, clock);
  const restarts = { charon: new RestartCount(), dataplane: new RestartCount() };
  let actual: CountsReport | undefined;
  await using engine = new SyncEngine({
    ...{ dataplane, tunnels, clock, logger, random: randomBytes },
    applyDeadlineMs: APPLY_DEADLINE_MS,
    brake: config.brake,
    auditIntervalMs: config.auditIntervalMs,
    usageIntervalMs: config.usageIntervalMs,
    onReadiness: (readiness) => charon.readiness(readiness),
    onUsage: (usage) => {
      actual = { sas: usage.usages.length, policies: usage.policies.length };
      charon.usage(usage);
    },
  });
  const charon = new CharonLink({
    socketPath: config.plugin.socket,
    server: `ipsec-agent ${version}`,
    ...{ clock, logger, status: links.plugin },
    engine: {
      replaceDesired: (snapshot, instance, startedMs) => {
        restarts.charon.note(instance);
        engine.replaceDesired(snapshot, instance, startedMs);
      },
      handle: meter.measured((request, call) => engine.handle(request, call)),
      change: (change) => engine.change(change),
      setupFailed: (name, failure) => engine.setupFailed(name, failure),
      get readiness() {
        return engine.readiness;
      },
    },
    vrfOf: createVrfOf(config.vrfRules),
    probe: async () => {
      await dataplane.capabilities({ signal });
    },
  });

  const status = async () =>
    toStatusReport({
      ...{ version, engine, links, actual, restarts, meter, audit },
      dataplane: await readDataplaneStatus(dataplane, links.dataplane),
    });
  await using _control = await startControlServer(
    config.control.socket,
    {
      status,
      diff: async (call) => toDiffReport(await engine.diff(call)),
      plan: async (call) => toPlanReport(await engine.plan(call)),
      sad: (call) => readSad(dataplane, tunnels, call),
      explain: (spi, call) => explain(parseSpi(spi), { engine, dataplane, vici, audit }, call),
    },
    logger,
    config.control,
  );
  await using _metrics =
    config.metrics &&
    (await startMetricsServer(config.metrics.listen, new StatusMetrics(registry, status), logger));
  logger.info({ version, control: config.control.socket }, 'agent started');

  const tasks = [
    charon.run({ signal }),
    followCharon(
      {
        ...{ client: vici, tunnels, engine, audit, clock, status: links.vici },
        isPluginConnected: () => links.plugin.report.state === 'connected',
        auditIntervalMs: config.auditIntervalMs,
      },
      { signal },
    ),
    superviseDataplane({
      ...{ dataplane, logger, signal },
      onUp: (capabilities) => {
        links.dataplane.connected(capabilities.server);
        restarts.dataplane.note(capabilities.bootId);
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
