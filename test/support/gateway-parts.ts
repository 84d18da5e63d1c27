import { join } from 'node:path';
import { askAgent, type DiffReport, type StatusReport } from '../../src/agent/index.ts';
import { CharonDaemon } from './charon-daemon.ts';
import type { Lab, Site } from './lab.ts';
import { AgentProcess, DataplaneProcess } from './product-processes.ts';
import { Swanctl } from './swanctl.ts';

export type PartName = 'charon' | 'agent' | 'dataplane';

type Part = AsyncDisposable & { readonly process: { readonly kill: () => Promise<void> } };

/** The three processes of a gateway, each started and killed when a test says so, in any order. */
export class GatewayParts {
  readonly site: Site;
  readonly swanctl: Swanctl;
  readonly #lab: Lab;
  readonly #running = new Map<PartName, Part>();

  constructor(lab: Lab, site: Site) {
    this.#lab = lab;
    this.site = site;
    this.swanctl = new Swanctl({
      uri: `unix://${this.#file('charon.vici')}`,
      dir: this.#file('swanctl'),
      strongswanConf: this.#file('strongswan.conf'),
      host: site.namespace,
    });
  }

  get controlSocket(): string {
    return this.#file('agent.sock');
  }

  get dataplaneTarget(): string {
    return `unix://${this.#file('dataplane.sock')}`;
  }

  /** Starts them one after another: each listens before the next is started. */
  async start(...names: readonly PartName[]): Promise<void> {
    for (const name of names) this.#running.set(name, this.#lab.use(await this.#startOne(name)));
  }

  /** Ends them as a crash would, at once. */
  async kill(...names: readonly PartName[]): Promise<void> {
    await Promise.all(names.map((name) => this.#running.get(name)?.process.kill()));
  }

  status(): Promise<StatusReport> {
    return askAgent(this.controlSocket, 'status', { signal: AbortSignal.timeout(5_000) });
  }

  diff(): Promise<DiffReport> {
    return askAgent(this.controlSocket, 'diff', { signal: AbortSignal.timeout(5_000) });
  }

  #file(name: string): string {
    return join(this.site.dir, name);
  }

  async #startOne(name: PartName): Promise<Part> {
    const { namespace, dir } = this.site;
    switch (name) {
      case 'charon':
        return await CharonDaemon.start({
          ...{ namespace, dir, backend: 'lagopus' },
          extra: { delete_rekeyed_delay: 1 },
        });
      case 'dataplane':
        return await DataplaneProcess.start({ namespace, dir });
      case 'agent':
        return await AgentProcess.start({
          ...{ namespace, dir },
          pluginSocket: this.#file('charon.lagopus'),
          viciUri: `unix://${this.#file('charon.vici')}`,
          dataplaneTarget: this.dataplaneTarget,
        });
    }
  }
}
