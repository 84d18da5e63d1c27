import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CharonDaemon, type CharonOptions } from './charon-daemon.ts';
import {
  FakeOpenconfigd,
  FakeVsw,
  homedRouterConfig,
  type OpenconfigdOptions,
  routerConfig,
  type VswOptions,
} from './fake-lagopus/index.ts';
import { isListening } from './is-listening.ts';
import type { Lab, Site } from './lab.ts';
import { ManagedProcess } from './managed-process.ts';
import { AgentProcess } from './product-processes.ts';
import { inRepository } from './repository.ts';

export type RouterGatewayOptions = Pick<CharonOptions, 'logLevels' | 'extra'> & {
  readonly vrfs?: readonly string[];
  readonly via?: 'relay' | 'pfkey';
  /** With `via: pfkey`: else vsw subscribes to openconfigd itself. */
  readonly isRelayed?: boolean;
  readonly openconfigd?: OpenconfigdOptions;
  readonly vsw?: Partial<VswOptions>;
  /** Top-level keys put over the generated configurations. */
  readonly agentOverrides?: Readonly<Record<string, unknown>>;
  readonly driverOverrides?: Readonly<Record<string, unknown>>;
};

/** charon tells its keys at this level of `chd`, for the comparison with the router's. */
const KEY_LEVELS = { default: 1, chd: 4 };

/**
 * A gateway whose packets a Lagopus router carries: charon and agent in the site's namespace, and beside
 * them `ipsec-agent vsw`, which a vsw subscribes to and which subscribes to an openconfigd; these two are
 * fakes of this process, reached over its loopback and unix sockets.
 */
export class RouterGateway {
  readonly site: Site;
  readonly openconfigd: FakeOpenconfigd;
  vsw: FakeVsw;
  charon: CharonDaemon;
  driver: ManagedProcess;
  agent: AgentProcess;
  readonly #lab: Lab;
  readonly #options: RouterGatewayOptions;
  readonly #relayPort: number;

  private constructor(
    lab: Lab,
    site: Site,
    options: RouterGatewayOptions,
    relayPort: number,
    parts: Pick<RouterGateway, 'openconfigd' | 'vsw' | 'charon' | 'driver' | 'agent'>,
  ) {
    this.#lab = lab;
    this.site = site;
    this.#options = options;
    this.#relayPort = relayPort;
    this.openconfigd = parts.openconfigd;
    this.vsw = parts.vsw;
    this.charon = parts.charon;
    this.driver = parts.driver;
    this.agent = parts.agent;
  }

  /** Starts everything, the driver before vsw, and waits until charon's requests can be answered. */
  static async start(lab: Lab, site: Site, options: RouterGatewayOptions = {}): Promise<RouterGateway> {
    const relayPort = await freePort();
    const vrfs = options.vrfs ?? ['vrf1'];
    const openconfigd = lab.use(
      await FakeOpenconfigd.start({ config: configOf(options.via)(...vrfs), ...options.openconfigd }),
    );
    const driver = await startDriver(lab, site, options, relayPort, openconfigd);
    const server = isRelayed(options) ? `127.0.0.1:${relayPort}` : openconfigd.address;
    const vsw = lab.use(await startVsw(site, server, options));
    const charon = await startCharon(lab, site, options);
    const agent = await startAgent(lab, site, options, charon);
    const parts = { openconfigd, vsw, charon, driver, agent };
    const gateway = new RouterGateway(lab, site, options, relayPort, parts);
    await agent.waitReady();
    return gateway;
  }

  async restartAgent(): Promise<void> {
    await this.agent.process.kill();
    await this.startAgent();
  }

  /** In the place of one that has ended. */
  async startAgent(): Promise<void> {
    this.agent = await startAgent(this.#lab, this.site, this.#options, this.charon);
    await this.agent.waitReady();
  }

  /** In the place of one that has ended: vsw is deaf until it is restarted too. */
  async startDriver(): Promise<void> {
    this.driver = await startDriver(this.#lab, this.site, this.#options, this.#relayPort, this.openconfigd);
  }

  async restartCharon(): Promise<void> {
    await this.charon.process.kill();
    this.charon = await startCharon(this.#lab, this.site, this.#options);
  }

  /** As a watchdog does: everything that was in it is gone. */
  async restartVsw(): Promise<void> {
    await this.vsw.restart();
  }
}

function isRelayed(options: RouterGatewayOptions): boolean {
  return options.via !== 'pfkey' || options.isRelayed === true;
}

/** Without a relay tunnels that name their VRF would open with the next commit only. */
function configOf(via: RouterGatewayOptions['via']): typeof routerConfig {
  return via === 'pfkey' ? routerConfig : homedRouterConfig;
}

/** Where vsw's PF_KEY socket of a VRF is. */
export function pfkeyPathOf(site: Site, vrf: string): string {
  return join(site.dir, `lagopus-${vrf}.sock`);
}

/** The contract's target of the driver beside a site's router. */
export function driverTarget(site: Site): string {
  return `unix://${join(site.dir, 'vsw.sock')}`;
}

async function startVsw(site: Site, server: string, { vsw = {} }: RouterGatewayOptions): Promise<FakeVsw> {
  return await FakeVsw.start({
    server,
    applyDelayMs: 15,
    pfkeyPath: (vrf) => pfkeyPathOf(site, vrf),
    ...vsw,
  });
}

async function startDriver(
  lab: Lab,
  site: Site,
  options: RouterGatewayOptions,
  relayPort: number,
  openconfigd: FakeOpenconfigd,
): Promise<ManagedProcess> {
  await mkdir(site.dir, { recursive: true, mode: 0o700 });
  const path = join(site.dir, 'vsw.yaml');
  const settings = {
    listen: driverTarget(site),
    vrfs: options.vrfs ?? ['vrf1'],
    via: options.via ?? 'relay',
    ...(isRelayed(options)
      ? { relay: { listen: `127.0.0.1:${relayPort}`, openconfigd: openconfigd.address } }
      : {}),
    pfkeySocket: join(site.dir, 'lagopus-VRF.sock'),
    journal: join(site.dir, 'vsw-journal.json'),
    statusSocket: join(site.dir, 'vsw-status.sock'),
    surveySeconds: 2,
    log: { level: 'debug' },
  };
  await writeFile(path, stringify({ ...settings, ...options.driverOverrides }));
  const driver = new ManagedProcess({
    name: `vsw driver in ${site.dir}`,
    argv: [inRepository('bin', 'ipsec-agent'), 'vsw', '--config', path, '--json'],
    logPath: join(site.dir, 'vsw.log'),
  });
  lab.use(driver);
  await driver.waitFor('it listens', async () => isListening(join(site.dir, 'vsw.sock')), 30_000);
  return driver;
}

async function startCharon(lab: Lab, site: Site, options: RouterGatewayOptions): Promise<CharonDaemon> {
  const { namespace, dir } = site;
  const { logLevels = KEY_LEVELS, extra = {} } = options;
  return lab.use(await CharonDaemon.start({ namespace, dir, backend: 'lagopus', logLevels, extra }));
}

async function startAgent(
  lab: Lab,
  site: Site,
  options: RouterGatewayOptions,
  charon: CharonDaemon,
): Promise<AgentProcess> {
  const { namespace, dir } = site;
  return lab.use(
    await AgentProcess.start({
      ...{ namespace, dir },
      pluginSocket: charon.pluginSocket,
      viciUri: charon.viciUri,
      dataplaneTarget: driverTarget(site),
      overrides: options.agentOverrides ?? {},
    }),
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
