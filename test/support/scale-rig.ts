import assert from 'node:assert/strict';
import { askAgent, type StatusReport } from '../../src/agent/index.ts';
import { eventually } from './eventually.ts';
import { FakeGateway } from './fake-gateway.ts';
import { fillDataplane } from './fill-dataplane.ts';
import { Lab } from './lab.ts';
import type { NetNamespace } from './net-namespace.ts';
import { AgentProcess, DataplaneProcess } from './product-processes.ts';

/** Shorter than the product's own default: what audits cost has to show. */
const AUDIT_INTERVAL_MS = 10_000;
/** Longer than anything here takes on a busy machine. */
const PATIENCE_MS = 600_000;
const CALL_DEADLINE_MS = 10_000;

/**
 * A charon of fakes in this process, and the product's two processes in a namespace of their own. The
 * fakes answer at once: what takes time is the product, and the machine that all of them share.
 */
export class ScaleRig implements AsyncDisposable {
  readonly gateway: FakeGateway;
  readonly #lab: Lab;
  readonly #namespace: NetNamespace;
  #dataplane: DataplaneProcess;
  #agent: AgentProcess | undefined;

  private constructor(lab: Lab, namespace: NetNamespace, gateway: FakeGateway, dataplane: DataplaneProcess) {
    this.#lab = lab;
    this.#namespace = namespace;
    this.gateway = gateway;
    this.#dataplane = dataplane;
  }

  /** Charon has so many SAs; the dataplane has nothing yet, and there is no agent. */
  static async create(sas: number): Promise<ScaleRig> {
    const lab = await Lab.create();
    try {
      const namespace = await lab.namespace('sync');
      const gateway = lab.use(await FakeGateway.listen(lab.dir));
      gateway.populate(sas / 2);
      return new ScaleRig(lab, namespace, gateway, await startDataplane(lab, namespace));
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get agentPid(): number {
    return this.#running.process.pid;
  }

  /** Gives the dataplane everything charon has, as an earlier agent left it. */
  fillDataplane(): Promise<void> {
    return fillDataplane(this.#dataplane.target, this.gateway.plugin);
  }

  async startAgent(): Promise<void> {
    const { dir } = this.#lab;
    this.#agent = this.#lab.use(
      await AgentProcess.start({
        namespace: this.#namespace,
        dir,
        pluginSocket: FakeGateway.pluginSocket(dir),
        viciUri: `unix://${FakeGateway.viciSocket(dir)}`,
        dataplaneTarget: this.#dataplane.target,
        logLevel: 'info',
        overrides: { auditIntervalMs: AUDIT_INTERVAL_MS },
      }),
    );
  }

  killAgent(): Promise<void> {
    return this.#running.process.kill();
  }

  killDataplane(): Promise<void> {
    return this.#dataplane.process.kill();
  }

  /** An empty one. */
  async startDataplane(): Promise<void> {
    this.#dataplane = await startDataplane(this.#lab, this.#namespace);
  }

  /** Waits until an agent says that charon's requests can be answered; when, on performance.now(). */
  async ready(): Promise<number> {
    await this.#until('the agent is ready', async () => this.gateway.plugin.readiness?.kind === 'ready');
    return performance.now();
  }

  /** Waits until requests are answered and nothing is left to be repaired or rekeyed; when. */
  async inSync(): Promise<number> {
    await this.ready();
    await this.#until('the agent is in sync', async () => {
      if (this.gateway.isRekeying) return false;
      const { isReady, pending } = await this.status();
      return isReady && pending === 0;
    });
    return performance.now();
  }

  status(): Promise<StatusReport> {
    return askAgent(this.#running.controlSocket, 'status', {
      signal: AbortSignal.timeout(CALL_DEADLINE_MS),
    });
  }

  /** Every SA and policy, read back from the dataplane and compared, is what charon has. */
  async assertEqual(): Promise<void> {
    const { isInSync, entries } = await askAgent(this.#running.controlSocket, 'diff', {
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    assert.deepEqual({ isInSync, entries }, { isInSync: true, entries: [] });
    // As many inbound policies as outbound ones; the forward ones are in no dataplane.
    const count = 2 * this.gateway.size;
    assert.deepEqual((await this.status()).desired, { sas: count, policies: count });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lab[Symbol.asyncDispose]();
  }

  get #running(): AgentProcess {
    if (this.#agent === undefined) throw new Error('no agent was started');
    return this.#agent;
  }

  async #until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
    await eventually(what, isTrue, { timeoutMs: PATIENCE_MS, intervalMs: 2 });
  }
}

async function startDataplane(lab: Lab, namespace: NetNamespace): Promise<DataplaneProcess> {
  return lab.use(await DataplaneProcess.start({ namespace, dir: lab.dir, logLevel: 'info' }));
}
