import { spawnSync } from 'node:child_process';
import { type Argv, type CommandHost, type CommandResult, command } from './command.ts';
import { onExit } from './exit-hooks.ts';
import { ManagedProcess, type ManagedProcessOptions } from './managed-process.ts';

/**
 * A network namespace of this test's own. Its name says whose: `lgp-PID-COUNTER-LABEL`; its end takes
 * every process in it along.
 */
export class NetNamespace implements AsyncDisposable, CommandHost {
  readonly name: string;
  readonly #forget: () => void;

  private constructor(name: string) {
    this.name = name;
    this.#forget = onExit(() => {
      const pids = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).stdout ?? '';
      killAll(pids);
      spawnSync('ip', ['netns', 'delete', name]);
    });
  }

  static async create(name: string): Promise<NetNamespace> {
    if (process.getuid?.() !== 0) throw new Error('the lab makes network namespaces: run it as root');
    await command(['ip', 'netns', 'add', name]);
    const namespace = new NetNamespace(name);
    await namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  }

  /** `ip -n NAME ...` */
  async ip(...args: readonly string[]): Promise<string> {
    return (await command(['ip', '-n', this.name, ...args])).stdout;
  }

  /** Runs a short command inside. */
  run(argv: Argv, options: { readonly timeoutMs?: number } = {}): Promise<CommandResult> {
    return command(this.argv(argv), options);
  }

  /** The command line that runs `argv` inside, in a mount namespace of its own. */
  argv(argv: Argv): Argv {
    return ['ip', 'netns', 'exec', this.name, ...argv];
  }

  /** Starts a long-running process inside. */
  spawn(options: ManagedProcessOptions): ManagedProcess {
    return new ManagedProcess({ ...options, argv: this.argv(options.argv) });
  }

  /** Adds an address, with prefix length, to an interface. */
  async addAddress(device: string, address: string): Promise<void> {
    await this.ip('address', 'add', address, 'dev', device);
  }

  /** Writes /proc/sys/net of this namespace: `net.ipv4.ip_forward`. */
  async sysctl(key: string, value: string): Promise<void> {
    await this.run(['sysctl', '-qw', `${key}=${value}`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#forget();
    const listing = await command(['ip', 'netns', 'pids', this.name]).catch(() => undefined);
    if (listing === undefined) return;
    killAll(listing.stdout);
    await command(['ip', 'netns', 'delete', this.name]);
  }
}

function killAll(pids: string): void {
  for (const pid of pids.split('\n').filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Removes the namespaces of test processes that were killed outright. */
export async function sweepNamespaces(isAlive: (pid: number) => boolean): Promise<void> {
  const { stdout } = await command(['ip', 'netns', 'list']);
  for (const line of stdout.split('\n')) {
    const match = /^(lgp-(\d+)-\S+)/.exec(line);
    if (match?.[1] === undefined || isAlive(Number(match[2]))) continue;
    // Another process's sweep may be ahead of this one.
    const pids = await command(['ip', 'netns', 'pids', match[1]]).catch(() => undefined);
    if (pids === undefined) continue;
    killAll(pids.stdout);
    await command(['ip', 'netns', 'delete', match[1]]).catch(() => undefined);
  }
}
