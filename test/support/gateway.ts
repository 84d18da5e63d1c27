import { CharonDaemon, type CharonOptions } from './charon-daemon.ts';
import type { Lab, Site } from './lab.ts';
import type { ManagedProcess } from './managed-process.ts';
import { AgentProcess, DataplaneProcess, type Launcher, type LogLevel } from './product-processes.ts';

export type GatewayOptions = Pick<CharonOptions, 'logLevels' | 'extra'> & {
  readonly logLevel?: LogLevel;
  /** Top-level keys put over the generated configurations. */
  readonly agentOverrides?: Readonly<Record<string, unknown>>;
  readonly dataplaneOverrides?: Readonly<Record<string, unknown>>;
  /** Starts agent and dataplane. */
  readonly launch?: Launcher;
};

/** A process of the gateway. */
export type GatewayPart = 'charon' | 'agent' | 'dataplane';

/** The whole product at one site: charon with kernel-lagopus, agent and dataplane, each replaceable. */
export class Gateway {
  readonly site: Site;
  charon: CharonDaemon;
  dataplane: DataplaneProcess;
  agent: AgentProcess;
  readonly #lab: Lab;
  readonly #options: GatewayOptions;

  private constructor(
    lab: Lab,
    site: Site,
    options: GatewayOptions,
    parts: { charon: CharonDaemon; dataplane: DataplaneProcess; agent: AgentProcess },
  ) {
    this.#lab = lab;
    this.site = site;
    this.#options = options;
    this.charon = parts.charon;
    this.dataplane = parts.dataplane;
    this.agent = parts.agent;
  }

  /** Starts all three and waits until charon's requests can be answered. They belong to the lab. */
  static async start(lab: Lab, site: Site, options: GatewayOptions = {}): Promise<Gateway> {
    const [dataplane, charon] = await Promise.all([
      startDataplane(lab, site, options),
      startCharon(lab, site, options),
    ]);
    const agent = await startAgent(lab, site, charon, dataplane, options);
    await agent.waitReady();
    return new Gateway(lab, site, options, { charon, dataplane, agent });
  }

  /** Ends the agent as a crash would. */
  killAgent(): Promise<void> {
    return this.agent.process.kill();
  }

  /** Starts another agent in the place of one that has ended. */
  async restartAgent(): Promise<void> {
    await this.start('agent');
    await this.agent.waitReady();
  }

  killDataplane(): Promise<void> {
    return this.dataplane.process.kill();
  }

  /** Starts another dataplane in the place of one that has ended. */
  async restartDataplane(): Promise<void> {
    await this.start('dataplane');
    await this.agent.waitReady();
  }

  /** The process of a part. */
  processOf(part: GatewayPart): ManagedProcess {
    return this[part].process;
  }

  /** Starts a part in the place of one that has ended, whatever the others do; it answers, no more. */
  async start(part: GatewayPart): Promise<void> {
    switch (part) {
      case 'agent':
        this.agent = await startAgent(this.#lab, this.site, this.charon, this.dataplane, this.#options);
        return;
      case 'dataplane':
        this.dataplane = await startDataplane(this.#lab, this.site, this.#options);
        return;
      case 'charon':
        this.charon = await startCharon(this.#lab, this.site, this.#options);
        return;
    }
  }
}

async function startCharon(lab: Lab, site: Site, options: GatewayOptions): Promise<CharonDaemon> {
  const { logLevels, extra } = options;
  const { namespace, dir } = site;
  const charon = await CharonDaemon.start({
    namespace,
    dir,
    backend: 'lagopus',
    ...(logLevels === undefined ? {} : { logLevels }),
    ...(extra === undefined ? {} : { extra }),
  });
  return lab.use(charon);
}

async function startDataplane(lab: Lab, site: Site, options: GatewayOptions): Promise<DataplaneProcess> {
  const { logLevel = 'debug', dataplaneOverrides: overrides = {}, launch } = options;
  const { namespace, dir } = site;
  const surroundings = launch === undefined ? {} : { launch };
  return lab.use(await DataplaneProcess.start({ namespace, dir, logLevel, overrides, ...surroundings }));
}

async function startAgent(
  lab: Lab,
  site: Site,
  charon: CharonDaemon,
  dataplane: DataplaneProcess,
  options: GatewayOptions,
): Promise<AgentProcess> {
  const { logLevel = 'debug', agentOverrides = {}, launch } = options;
  const agent = await AgentProcess.start({
    namespace: site.namespace,
    dir: site.dir,
    pluginSocket: charon.pluginSocket,
    viciUri: charon.viciUri,
    dataplaneTarget: dataplane.target,
    logLevel,
    overrides: agentOverrides,
    ...(launch === undefined ? {} : { launch }),
  });
  return lab.use(agent);
}
