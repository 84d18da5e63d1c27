import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CharonBackend, charonSettings, type LogLevels } from './charon-settings.ts';
import type { ManagedProcess } from './managed-process.ts';
import type { NetNamespace } from './net-namespace.ts';
import { inRepository } from './repository.ts';
import type { Settings } from './settings.ts';
import { Swanctl } from './swanctl.ts';

export type CharonOptions = {
  readonly namespace: NetNamespace;
  /** Its own directory: `charon.vici`, `charon.log`, `swanctl/` and, with our plugin, `charon.lagopus`. */
  readonly dir: string;
  readonly backend: Exclude<CharonBackend, 'kernel'>;
  readonly logLevels?: LogLevels;
  /** On top of strongswan.conf's `charon` section. */
  readonly extra?: Settings;
};

/** The files and sockets of one daemon. */
export type CharonFiles = {
  readonly strongswanConf: string;
  readonly logPath: string;
  /** Where kernel-lagopus listens for the agent. */
  readonly pluginSocket: string;
  /** swanctl's folder. */
  readonly dir: string;
};

/** Writes a daemon's strongswan.conf into its directory. */
export async function writeCharonSettings(
  options: Omit<CharonOptions, 'namespace' | 'backend'> & {
    readonly backend: CharonBackend;
    readonly viciUri: string;
  },
): Promise<CharonFiles> {
  const { dir, backend, viciUri, logLevels = { default: 1 }, extra = {} } = options;
  const files = {
    strongswanConf: join(dir, 'strongswan.conf'),
    logPath: join(dir, 'charon.log'),
    pluginSocket: join(dir, 'charon.lagopus'),
    dir: join(dir, 'swanctl'),
  };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeFile(files.strongswanConf, charonSettings({ ...files, backend, viciUri, logLevels, extra }));
  return files;
}

/** Debian's own charon-systemd in a namespace. */
export class CharonDaemon implements AsyncDisposable {
  readonly process: ManagedProcess;
  readonly swanctl: Swanctl;
  readonly viciUri: string;
  readonly pluginSocket: string;
  readonly logPath: string;

  private constructor(options: CharonOptions, files: CharonFiles, viciUri: string) {
    this.viciUri = viciUri;
    this.pluginSocket = files.pluginSocket;
    this.logPath = files.logPath;
    this.process = options.namespace.spawn({
      name: `charon in ${options.dir}`,
      argv: ['env', `STRONGSWAN_CONF=${files.strongswanConf}`, 'sh', '-ec', startScript(options.backend)],
      logPath: join(options.dir, 'charon.out'),
    });
    this.swanctl = new Swanctl({ ...files, uri: viciUri, host: options.namespace });
  }

  /** Starts it and waits until VICI answers. */
  static async start(options: CharonOptions): Promise<CharonDaemon> {
    const viciUri = `unix://${join(options.dir, 'charon.vici')}`;
    const files = await writeCharonSettings({ ...options, viciUri });
    const daemon = new CharonDaemon(options, files, viciUri);
    try {
      await daemon.process.waitFor('VICI answers', async () => {
        await daemon.swanctl.run(['--version', '--daemon']);
        return true;
      });
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What it logged so far. */
  log(): Promise<string> {
    return readFile(this.logPath, 'utf8');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

/**
 * `ip netns exec` gives the process a mount namespace of its own: the bind mount, which puts our
 * plugin among charon's, is seen by this daemon only.
 */
function startScript(backend: CharonBackend): string {
  const daemon = 'exec /usr/sbin/charon-systemd';
  if (backend !== 'lagopus') return daemon;
  return `mount --bind '${inRepository('build', 'plugins')}' /usr/lib/ipsec/plugins; ${daemon}`;
}
