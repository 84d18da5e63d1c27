import { type ContainerRuntimeClient, getContainerRuntimeClient, Wait } from 'testcontainers';
import { eventually } from '../../support/index.ts';
import { type ComposeFile, readComposeFile } from './compose-file.ts';
import { withoutHeaders } from './log-stream.ts';
import { type Names, ServiceContainer, TEST_LABEL } from './service-container.ts';

/** Seconds of a stop before SIGKILL. */
const STOP_SECONDS = 5;

export type Ran = { readonly status: number; readonly stdout: string; readonly stderr: string };

/** What `docker compose up` makes of compose.yaml, made by testcontainers. */
export class Project implements AsyncDisposable {
  readonly file: ComposeFile = readComposeFile();
  readonly names: Names;
  readonly client: ContainerRuntimeClient;
  readonly #prefix = `lagopus-${process.pid}`;
  readonly #started = new Set<string>();

  private constructor(client: ContainerRuntimeClient) {
    this.client = client;
    const named = (name: string): string => `${this.#prefix}-${name}`;
    this.names = { network: named, volume: named, container: named };
  }

  static async create(): Promise<Project> {
    const project = new Project(await getContainerRuntimeClient());
    const { networks, volumes } = project.file;
    const Labels = { [TEST_LABEL]: project.#prefix };
    for (const [name, { ipam }] of Object.entries(networks)) {
      const IPAM = { Driver: 'default', Config: ipam.config.map(({ subnet }) => ({ Subnet: subnet })) };
      await project.client.network.create({ Name: project.names.network(name), Labels, IPAM });
    }
    for (const name of Object.keys(volumes)) {
      await project.client.container.dockerode.createVolume({ Name: project.names.volume(name), Labels });
    }
    return project;
  }

  /** The services of these profiles, in an order in which every network exists before it is joined. */
  services(profile?: 'stock'): readonly string[] {
    const names = Object.entries(this.file.services)
      .filter(
        ([, { profiles }]) => profiles === undefined || (profile !== undefined && profiles.includes(profile)),
      )
      .map(([name]) => name);
    const joins = (name: string): boolean =>
      this.file.services[name]?.network_mode?.startsWith('service:') ?? false;
    return [...names.filter((name) => !joins(name)), ...names.filter(joins)];
  }

  /** Creates and starts containers; waits for no health. */
  async start(names: readonly string[], image?: string): Promise<void> {
    for (const name of names) {
      const service = this.file.services[name];
      if (service === undefined) throw new Error(`compose.yaml has no service ${name}`);
      const container = new ServiceContainer(name, service, this.names, image);
      // For no port at all: at once.
      await container.withWaitStrategy(Wait.forListeningPorts()).start();
      this.#started.add(name);
    }
  }

  async exec(name: string, argv: readonly string[], user?: string): Promise<Ran> {
    const { client } = this;
    const { exitCode, stdout, stderr } = await client.container.exec(this.#container(name), [...argv], {
      log: false,
      ...(user === undefined ? {} : { user }),
    });
    return { status: exitCode, stdout, stderr };
  }

  /** @throws Error with what it printed, on any status but 0. */
  async run(name: string, ...argv: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.exec(name, argv);
    if (status !== 0) throw new Error(`${name}: ${argv.join(' ')}: status ${status}\n${stderr}${stdout}`);
    return stdout;
  }

  async kill(name: string): Promise<void> {
    await this.#container(name).kill();
  }

  async startAgain(name: string): Promise<void> {
    await this.#container(name).start();
  }

  async stop(name: string): Promise<void> {
    await this.#container(name).stop({ t: STOP_SECONDS });
  }

  /** Stops and removes it: a new one may take its place. */
  async remove(name: string): Promise<void> {
    await this.#container(name).stop({ t: STOP_SECONDS });
    await this.#container(name).remove({ v: false });
    this.#started.delete(name);
  }

  async inspect(name: string): ReturnType<ContainerRuntimeClient['container']['inspect']> {
    return this.client.container.inspect(this.#container(name));
  }

  /** Everything it has logged, both streams. */
  async logs(name: string): Promise<string> {
    const bytes = await this.#container(name).logs({ stdout: true, stderr: true, follow: false });
    return withoutHeaders(bytes);
  }

  async waitHealthy(names: readonly string[], timeoutMs = 120_000): Promise<void> {
    for (const name of names) {
      await eventually(
        `${name} is healthy`,
        async () => (await this.inspect(name)).State.Health?.Status === 'healthy',
        { timeoutMs, intervalMs: 250 },
      );
    }
  }

  get started(): readonly string[] {
    return [...this.#started];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.started.map((name) =>
        this.#container(name)
          .remove({ force: true, v: true })
          .catch(() => undefined),
      ),
    );
    const { dockerode } = this.client.container;
    for (const name of Object.keys(this.file.networks)) {
      await dockerode.getNetwork(this.names.network(name)).remove();
    }
    for (const name of Object.keys(this.file.volumes)) {
      await dockerode.getVolume(this.names.volume(name)).remove();
    }
  }

  #container(name: string): ReturnType<ContainerRuntimeClient['container']['getById']> {
    return this.client.container.getById(this.names.container(name));
  }
}
