import {
  CHILD_NAME,
  CharonDaemon,
  eventually,
  Lab,
  type ListedChildSa,
  type LogLevels,
  loadTunnel,
  type Settings,
  type Site,
  type Tunnel,
  tunnelEnd,
} from '../../support/index.ts';
import { type Answers, FakeAgent, OK } from './fake-agent.ts';

export type RigOptions = {
  /** Under `charon.plugins.kernel-lagopus`, on both ends. */
  readonly plugin?: Settings;
  /** Under `charon`, on both ends. */
  readonly charon?: Settings;
  readonly tunnel?: Partial<Tunnel>;
  readonly logLevels?: LogLevels;
  /** What the left agent says; the right one says yes. */
  readonly answers?: Answers;
};

/** Two charons with our plugin, each with a fake agent, and a tunnel that both know. */
export class Rig implements AsyncDisposable {
  readonly lab: Lab;
  readonly sites: { readonly left: Site; readonly right: Site };
  readonly left: CharonDaemon;
  readonly right: CharonDaemon;
  /** The left charon's agent; a test may replace it. */
  agent: FakeAgent;
  readonly peerAgent: FakeAgent;

  private constructor(
    lab: Lab,
    sites: Rig['sites'],
    charons: { readonly left: CharonDaemon; readonly right: CharonDaemon },
    agents: { readonly left: FakeAgent; readonly right: FakeAgent },
  ) {
    this.lab = lab;
    this.sites = sites;
    this.left = charons.left;
    this.right = charons.right;
    this.agent = agents.left;
    this.peerAgent = agents.right;
  }

  static async start(options: RigOptions = {}): Promise<Rig> {
    const lab = await Lab.create();
    try {
      const sites = await lab.pair();
      const start = async ({ namespace, dir }: Site): Promise<CharonDaemon> =>
        lab.use(
          await CharonDaemon.start({
            namespace,
            dir,
            backend: 'lagopus',
            logLevels: options.logLevels ?? { default: 1, knl: 2 },
            extra: { ...options.charon, plugins: { 'kernel-lagopus': options.plugin ?? {} } },
          }),
        );
      const [left, right] = await Promise.all([start(sites.left), start(sites.right)]);
      const agents = {
        left: lab.use(await FakeAgent.start(left.pluginSocket, options.answers)),
        right: lab.use(await FakeAgent.start(right.pluginSocket)),
      };
      const rig = new Rig(lab, sites, { left, right }, agents);
      await rig.load(options.tunnel);
      await Promise.all([isReady(left), isReady(right)]);
      return rig;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Loads a tunnel on both ends in the place of the one before. */
  load(tunnel: Partial<Tunnel> = {}): Promise<void> {
    const { left, right } = this.sites;
    return loadTunnel(
      { left: tunnelEnd(left), right: tunnelEnd(right), ...tunnel },
      this.left.swanctl,
      this.right.swanctl,
    );
  }

  initiate(from: 'left' | 'right' = 'left'): Promise<unknown> {
    return this[from].swanctl.initiate(CHILD_NAME);
  }

  /** Ends the left agent's connection as a crash does. */
  async killAgent(): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
  }

  /** A new left agent, once charon knows that it is ready. */
  async restartAgent(answers: Answers = () => OK): Promise<FakeAgent> {
    this.agent = this.lab.use(await FakeAgent.start(this.left.pluginSocket, answers));
    return this.agent;
  }

  /** CHILD_SAs that carry traffic, on both ends. */
  async installed(): Promise<{ left: ListedChildSa[]; right: ListedChildSa[] }> {
    const [left, right] = await Promise.all([this.left.swanctl.childSas(), this.right.swanctl.childSas()]);
    const isInstalled = ({ state }: ListedChildSa): boolean => state === 'INSTALLED';
    return { left: left.filter(isInstalled), right: right.filter(isInstalled) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

/** Waits for a line in a charon's log. */
export function logged(charon: CharonDaemon, text: string | RegExp, timeoutMs = 10_000): Promise<string> {
  const matches = (line: string): boolean =>
    typeof text === 'string' ? line.includes(text) : text.test(line);
  return eventually(`"${text}" in the log`, async () => (await charon.log()).split('\n').find(matches), {
    timeoutMs,
  });
}

/** Waits until a charon knows that its agent is ready. */
export function isReady(charon: CharonDaemon): Promise<string> {
  return logged(charon, 'agent is ready');
}
