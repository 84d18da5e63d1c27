import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Argv, CommandError, command } from './command.ts';
import { isListening } from './is-listening.ts';
import type { ManagedProcess } from './managed-process.ts';
import type { NetNamespace } from './net-namespace.ts';
import { inRepository } from './repository.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** From the command line of a process to another one that starts it in surroundings of its own. */
export type Launcher = (argv: Argv) => Argv;

const PROGRAM = inRepository('bin', 'ipsec-agent');

/** What both processes need to start. */
type ProductOptions = {
  readonly namespace: NetNamespace;
  /** Sockets, configuration and log go here. */
  readonly dir: string;
  readonly logLevel?: LogLevel;
  /** Top-level keys put over the generated configuration. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** What is run instead of the command line; it has to end by running it. */
  readonly launch?: Launcher;
};

/** `ipsec-agent dataplane` in a namespace. */
export class DataplaneProcess implements AsyncDisposable {
  readonly process: ManagedProcess;
  /** Its gRPC target. */
  readonly target: string;

  private constructor(process: ManagedProcess, target: string) {
    this.process = process;
    this.target = target;
  }

  /** Starts it and waits until its socket answers. */
  static async start(options: ProductOptions): Promise<DataplaneProcess> {
    const target = `unix://${join(options.dir, 'dataplane.sock')}`;
    const settings = { listen: target };
    const dataplane = new DataplaneProcess(await spawnProduct('dataplane', options, settings), target);
    return await waitStarted(dataplane, 'it listens', async () =>
      isListening(join(options.dir, 'dataplane.sock')),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

/** `ipsec-agent run` in a namespace. */
export class AgentProcess implements AsyncDisposable {
  readonly process: ManagedProcess;
  readonly controlSocket: string;

  private constructor(process: ManagedProcess, controlSocket: string) {
    this.process = process;
    this.controlSocket = controlSocket;
  }

  /** Starts it and waits until its control socket answers; `waitReady` waits for the rest. */
  static async start(
    options: ProductOptions & {
      readonly pluginSocket: string;
      readonly viciUri: string;
      readonly dataplaneTarget: string;
    },
  ): Promise<AgentProcess> {
    const controlSocket = join(options.dir, 'agent.sock');
    const settings = {
      plugin: { socket: options.pluginSocket },
      vici: { uri: options.viciUri },
      dataplane: { target: options.dataplaneTarget },
      control: { socket: controlSocket },
    };
    const agent = new AgentProcess(await spawnProduct('agent', options, settings), controlSocket);
    return await waitStarted(agent, 'it listens', async () => isListening(controlSocket));
  }

  /** `ipsec-agent wait-ready`: returns when charon's requests can be answered. */
  async waitReady(timeoutMs = 30_000): Promise<void> {
    const patience = ['--timeout', String(timeoutMs / 1000)];
    await command([PROGRAM, 'wait-ready', '--socket', this.controlSocket, ...patience], {
      timeoutMs: timeoutMs + 2_000,
    });
  }

  /** The output of `ipsec-agent VERB`, for a person. */
  async show(verb: 'status' | 'sad' | 'diff' | 'explain', ...args: readonly string[]): Promise<string> {
    try {
      return (await command([PROGRAM, verb, '--socket', this.controlSocket, ...args])).stdout;
    } catch (error) {
      // Like diff(1): 1 with output says that there are differences.
      const isDiffering = verb === 'diff' && error instanceof CommandError && error.status === 1;
      if (isDiffering && error.stdout !== '') return error.stdout;
      throw error;
    }
  }

  /** What `ipsec-agent VERB --json` prints; for the caller to parse. */
  async ask(verb: 'status' | 'sad' | 'diff'): Promise<unknown> {
    return JSON.parse(await this.show(verb, '--json'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

async function spawnProduct(
  name: 'agent' | 'dataplane',
  options: ProductOptions,
  settings: Readonly<Record<string, unknown>>,
): Promise<ManagedProcess> {
  const { namespace, dir, logLevel = 'debug', overrides = {}, launch = (argv) => argv } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, `${name}.yaml`);
  await writeFile(path, stringify({ ...settings, log: { level: logLevel }, ...overrides }));
  return namespace.spawn({
    name: `${name} in ${dir}`,
    argv: launch([PROGRAM, name === 'agent' ? 'run' : 'dataplane', '--config', path, '--json']),
    logPath: join(dir, `${name}.log`),
  });
}

async function waitStarted<T extends AsyncDisposable & { readonly process: ManagedProcess }>(
  product: T,
  what: string,
  ask: () => Promise<boolean>,
): Promise<T> {
  try {
    await product.process.waitFor(what, ask);
    return product;
  } catch (error) {
    await product[Symbol.asyncDispose]();
    throw error;
  }
}
