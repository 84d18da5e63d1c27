import { askAgent, type StatusReport } from '../../src/agent/index.ts';
import {
  AgentProcess,
  DataplaneProcess,
  eventually,
  FakeGateway,
  fillDataplane,
  type Lab,
  type NetNamespace,
} from '../../test/support/index.ts';

export type RigOptions = {
  readonly sas: number;
  /** Top-level keys of the agent's configuration. */
  readonly agent?: Readonly<Record<string, unknown>>;
};

/** Longer than anything here takes on a busy machine. */
const PATIENCE_MS = 600_000;

/**
 * A charon of fakes in this process, and the product's two processes in a namespace. The fakes
 * are as fast as they can be: what takes time is the product, and the machine they share.
 */
export class Rig {
  readonly gateway: FakeGateway;
  readonly #namespace: NetNamespace;
  readonly #dir: string;
  readonly #lab: Lab;
  readonly #options: RigOptions;
  #dataplane: DataplaneProcess | undefined;
  #agent: AgentProcess | undefined;

  private constructor(
    lab: Lab,
    namespace: NetNamespace,
    dir: string,
    gateway: FakeGateway,
    options: RigOptions,
  ) {
    this.#lab = lab;
    this.#namespace = namespace;
    this.#dir = dir;
    this.gateway = gateway;
    this.#options = options;
  }

  /** The fakes, with their SAs, and an empty dataplane; no agent yet. */
  static async create(lab: Lab, options: RigOptions): Promise<Rig> {
    const namespace = await lab.namespace('sync');
    const gateway = lab.use(await FakeGateway.listen(lab.dir));
    gateway.populate(options.sas / 2);
    const rig = new Rig(lab, namespace, lab.dir, gateway, options);
    await rig.startDataplane();
    return rig;
  }

  get agentPid(): number {
    if (this.#agent === undefined) throw new Error('no agent was started');
    return this.#agent.process.pid;
  }

  get dataplanePid(): number {
    if (this.#dataplane === undefined) throw new Error('no dataplane was started');
    return this.#dataplane.process.pid;
  }

  async startDataplane(): Promise<void> {
    this.#dataplane = this.#lab.use(
      await DataplaneProcess.start({ namespace: this.#namespace, dir: this.#dir, logLevel: 'info' }),
    );
  }

  /** Everything charon has, as an earlier agent left it. */
  fillDataplane(): Promise<void> {
    return fillDataplane(`unix://${this.#dir}/dataplane.sock`, this.gateway.plugin);
  }

  async startAgent(): Promise<void> {
    this.#agent = this.#lab.use(
      await AgentProcess.start({
        namespace: this.#namespace,
        dir: this.#dir,
        pluginSocket: FakeGateway.pluginSocket(this.#dir),
        viciUri: `unix://${FakeGateway.viciSocket(this.#dir)}`,
        dataplaneTarget: `unix://${this.#dir}/dataplane.sock`,
        logLevel: 'info',
        overrides: this.#options.agent ?? {},
      }),
    );
  }

  killAgent(): Promise<void> | undefined {
    return this.#agent?.process.kill();
  }

  killDataplane(): Promise<void> | undefined {
    return this.#dataplane?.process.kill();
  }

  status(): Promise<StatusReport> {
    return this.#ask('status');
  }

  #ask(name: 'status'): Promise<StatusReport> {
    if (this.#agent === undefined) throw new Error('no agent was started');
    return askAgent(this.#agent.controlSocket, name, { signal: AbortSignal.timeout(10_000) });
  }

  /** Waits until charon's requests are answered and no SA waits for a rekey. */
  async inSync(): Promise<void> {
    await eventually(
      'the agent is in sync',
      async () => {
        if (this.gateway.plugin.readiness?.kind !== 'ready' || this.gateway.isRekeying) return false;
        const { isReady, pending } = await this.status();
        return isReady && pending === 0;
      },
      { timeoutMs: PATIENCE_MS, intervalMs: 5 },
    );
  }
}
