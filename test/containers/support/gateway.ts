import { GenericContainer } from 'testcontainers';
import { type ChildSaLister, eventually, parseChildSas } from '../../support/index.ts';
import { TAG } from './compose-file.ts';
import type { Project } from './project.ts';
import { TEST_LABEL } from './service-container.ts';

/** Prints the keys of a charon's SAs, one a line in hexadecimal, as the plugin tells them to an agent. */
const KEY_READER = `
import { KeyfeedConnection } from '/app/dist/keyfeed/index.js';
const feed = await KeyfeedConnection.open({ path: '/run/lagopus-ipsec/charon.lagopus', server: 'test' });
const nothing = () => undefined;
await feed.serve({
  onSnapshot({ sas }) {
    for (const { encrKey, integKey } of sas) {
      for (const key of [encrKey, integKey]) key?.reveal((bytes) => console.log(Buffer.from(bytes).toString('hex')));
    }
    void feed[Symbol.asyncDispose]();
  },
  ...{ onChange: nothing, onSetupFailed: nothing, onRequest: nothing },
});
`;

/** One gateway of compose.yaml: its four containers, and the client behind it. */
export class ComposedGateway implements ChildSaLister {
  readonly name: string;
  readonly strongswan: string;
  readonly agent: string;
  readonly dataplane: string;
  readonly client: string;
  readonly #project: Project;
  readonly swanctl = { childSas: async () => parseChildSas(await this.swan('--list-sas', '--raw')) };

  constructor(project: Project, name: 'left' | 'right') {
    this.#project = project;
    this.name = name;
    this.strongswan = `${name}-strongswan`;
    this.agent = `${name}-agent`;
    this.dataplane = `${name}-dataplane`;
    this.client = `${name}-client`;
  }

  /** What takes part in the tunnel, in the order of a start. */
  get parts(): readonly string[] {
    return [this.strongswan, this.agent, this.dataplane];
  }

  /** `swanctl VERB ...` where charon is. */
  swan(...argv: readonly string[]): Promise<string> {
    return this.#project.run(this.strongswan, 'swanctl', ...argv);
  }

  /** `ipsec-agent COMMAND ...` where the agent is. */
  ask(...argv: readonly string[]): Promise<string> {
    return this.#project.run(this.agent, 'ipsec-agent', ...argv);
  }

  /**
   * The dataplane takes SAs and charon has its connections: what the health checks ask, without their
   * interval.
   */
  async waitReady(): Promise<void> {
    await eventually('the agent is ready', () => this.ask('wait-ready', '--timeout', '30'), {
      timeoutMs: 60_000,
      intervalMs: 250,
    });
    await eventually(
      'connections are loaded',
      () => this.#project.run(this.strongswan, 'charon-healthy').then(() => true),
      {
        timeoutMs: 60_000,
        intervalMs: 250,
      },
    );
  }

  /** The address of its client. */
  get clientAddress(): string {
    const [network] = Object.values(this.#project.file.services[this.client]?.networks ?? {});
    if (network === undefined) throw new Error(`${this.client} has no network`);
    return network.ipv4_address;
  }

  /** Every key of charon's SAs; the agent has to be away. */
  async keys(): Promise<readonly string[]> {
    const reader = await new GenericContainer(`lagopus-ipsec-agent/agent:${TAG}`)
      .withLabels({ [TEST_LABEL]: 'key-reader' })
      .withNetworkMode('none')
      .withDroppedCapabilities('ALL')
      .withEntrypoint(['sleep', 'infinity'])
      .withCommand([])
      .withHealthCheck({ test: ['CMD', 'true'] })
      .withBindMounts([
        { source: this.#project.names.volume(`${this.name}-sockets`), target: '/run/lagopus-ipsec' },
      ])
      .start();
    try {
      const { exitCode, stdout, stderr } = await reader.exec([
        'node',
        '--input-type=module',
        '-e',
        KEY_READER,
      ]);
      if (exitCode !== 0) throw new Error(`reading keys: ${stderr}`);
      return stdout.trim().split('\n');
    } finally {
      await reader.stop({ timeout: 0 });
    }
  }
}
