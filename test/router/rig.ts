import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Wire } from '../conformance/wire.ts';
import {
  AgentProcess,
  CharonDaemon,
  Gateway,
  inRepository,
  isListening,
  type Lab,
  loadTunnel,
  type ManagedProcess,
  tunnelEnd,
} from '../support/index.ts';
import { driverSettings, OPENCONFIGD_PORT, PEER, ROUTER, routerLines, vswConf } from './configuration.ts';
import { forward } from './forward.ts';
import { makeNetwork, type RouterNetwork } from './network.ts';
import type { RouterOptions } from './options.ts';
import { pfkeyDir, Vsw } from './vsw-process.ts';

/** What a Lagopus router does not have, and charon asks for by default. */
const CHILD = { replay_window: 0, copy_df: false, copy_ecn: false, copy_dscp: false };

/** A real vsw with the driver, a charon and an agent, and a gateway of the product's at the other end. */
export class Rig {
  readonly network: RouterNetwork;
  readonly wire: Wire;
  readonly peer: Gateway;
  readonly charon: CharonDaemon;
  readonly #lab: Lab;
  readonly #options: RouterOptions;
  readonly #files: Files;
  #driver: ManagedProcess;
  #vsw: Vsw;
  #agent: AgentProcess | undefined;
  #lives = 1;

  private constructor(
    lab: Lab,
    options: RouterOptions,
    files: Files,
    parts: Pick<Rig, 'network' | 'wire' | 'peer' | 'charon'> & { driver: ManagedProcess; vsw: Vsw },
  ) {
    this.#lab = lab;
    this.#options = options;
    this.#files = files;
    this.network = parts.network;
    this.wire = parts.wire;
    this.peer = parts.peer;
    this.charon = parts.charon;
    this.#driver = parts.driver;
    this.#vsw = parts.vsw;
  }

  /**
   * Everything but the router's agent.
   *
   * @throws Error that says what to do when vsw cannot be started.
   */
  static async start(lab: Lab, options: RouterOptions): Promise<Rig> {
    const network = await makeNetwork(lab);
    const { router, peer: peerSite } = network;
    const wire = lab.use(await Wire.start(peerSite));
    const files = await writeFiles(network, options);
    if (options.openconfigd !== undefined) await forwardOpenconfigd(lab, network, options.openconfigd);
    const driver = lab.use(await startDriver(network, files));
    const { program } = options;
    const vsw = lab.use(await Vsw.start(router, { program, configuration: files.vswConf, life: 1 }));
    const peer = await Gateway.start(lab, peerSite);
    await peerSite.namespace.ip('route', 'replace', ROUTER.innerNet, 'dev', 'ipsec0', 'src', PEER.inner);
    const { namespace, dir } = router;
    const charon = lab.use(await CharonDaemon.start({ namespace, dir, backend: 'lagopus' }));
    return new Rig(lab, options, files, { network, wire, peer, charon, driver, vsw });
  }

  /** @throws Error before the first `startAgent`. */
  get agent(): AgentProcess {
    if (this.#agent === undefined) throw new Error('no agent was started');
    return this.#agent;
  }

  async startAgent(): Promise<void> {
    const { namespace, dir } = this.network.router;
    const { pluginSocket, viciUri } = this.charon;
    const dataplaneTarget = this.driverTarget;
    this.#agent = this.#lab.use(
      await AgentProcess.start({ namespace, dir, pluginSocket, viciUri, dataplaneTarget }),
    );
    await this.agent.waitReady();
  }

  async restartAgent(): Promise<void> {
    await this.agent.process.kill();
    await this.startAgent();
  }

  /** vsw is deaf from then on. */
  async restartDriver(): Promise<void> {
    await this.#driver.stop();
    this.#driver = this.#lab.use(await startDriver(this.network, this.#files));
    await this.agent.waitReady();
  }

  async killVsw(): Promise<void> {
    await this.#vsw.kill();
  }

  async startVsw(): Promise<void> {
    this.#lives += 1;
    const { program } = this.#options;
    const configuration = this.#files.vswConf;
    this.#vsw = this.#lab.use(
      await Vsw.start(this.network.router, { program, configuration, life: this.#lives }),
    );
  }

  /** The contract's target of the driver. */
  get driverTarget(): string {
    return driverTarget(this.network);
  }

  async loadTunnel(): Promise<void> {
    const { router, peer } = this.network;
    await loadTunnel(
      { child: CHILD, left: tunnelEnd(router), right: tunnelEnd(peer) },
      this.charon.swanctl,
      this.peer.charon.swanctl,
    );
  }
}

type Files = { readonly vswConf: string; readonly driver: string };

async function writeFiles(network: RouterNetwork, options: RouterOptions): Promise<Files> {
  const { dir } = network.router;
  const files = { vswConf: join(dir, 'vsw.conf'), driver: join(dir, 'vsw.yaml') };
  const routerFile = join(dir, 'router.conf');
  const paths = {
    listen: driverTarget(network),
    pfkeyDir: pfkeyDir(network.router),
    journal: join(dir, 'vsw-journal.json'),
    statusSocket: join(dir, 'vsw-status.sock'),
    routerFile,
  };
  await mkdir(paths.pfkeyDir, { recursive: true, mode: 0o700 });
  await writeFile(files.vswConf, vswConf(options));
  await writeFile(routerFile, routerLines());
  await writeFile(files.driver, stringify(driverSettings(paths, options)));
  return files;
}

function driverTarget({ router }: RouterNetwork): string {
  return `unix://${join(router.dir, 'vsw.sock')}`;
}

async function startDriver(network: RouterNetwork, files: Files): Promise<ManagedProcess> {
  const { namespace, dir } = network.router;
  const driver = namespace.spawn({
    name: 'ipsec-agent vsw',
    argv: [inRepository('bin', 'ipsec-agent'), 'vsw', '--config', files.driver, '--json'],
    logPath: join(dir, 'driver.log'),
  });
  try {
    await driver.waitFor('it listens', () => isListening(join(dir, 'vsw.sock')), 30_000);
    return driver;
  } catch (error) {
    await driver[Symbol.asyncDispose]();
    throw error;
  }
}

/** From the router's loopback to where this process reaches it. */
async function forwardOpenconfigd(lab: Lab, { router }: RouterNetwork, address: string): Promise<void> {
  const path = join(router.dir, 'openconfigd.sock');
  const [host, port] = address.split(':');
  const server = await forward({ path }, { host: host ?? '', port: Number(port) });
  server.unref();
  await chmod(path, 0o600);
  const near = lab.use(
    router.namespace.spawn({
      name: 'forwarder of openconfigd',
      argv: [process.execPath, inRepository('test', 'router', 'forward.ts'), String(OPENCONFIGD_PORT), path],
      logPath: join(router.dir, 'forward.log'),
    }),
  );
  await near.waitFor('it listens', async () => {
    const { stdout } = await router.namespace.run(['ss', '-Hltn', `sport = :${OPENCONFIGD_PORT}`]);
    return stdout !== '';
  });
}
