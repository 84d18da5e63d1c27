import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CharonBackend, charonSettings, type LogLevels } from './charon-settings.ts';
import type { ManagedProcess } from './managed-process.ts';
import type { NetNamespace } from './net-namespace.ts';
import { inRepository } from './repository.ts';
import type { Settings } from './settings.ts';
import { Swanctl } from './swanctl.ts';

export type CharonOptions = {
  readonly namespace: NetNamespace;
  /** Its own directory; `charon.vici`, `charon.log`, `swanctl/` and, with our plugin, `charon.lagopus`. */
  readonly dir: string;
  readonly backend: Exclude<CharonBackend, 'kernel'>;
  readonly logLevels?: LogLevels;
  /** On top of strongswan.conf's `charon` section. */
  readonly extra?: Settings;
};

/** Debian's own charon-systemd in a namespace. */
export class CharonDaemon implements AsyncDisposable {
  readonly process: ManagedProcess;
  readonly swanctl: Swanctl;
  readonly viciUri: string;
  /** Where kernel-lagopus listens for the agent. */
  readonly pluginSocket: string;
  readonly logPath: string;

  private constructor(options: CharonOptions, strongswanConf: string) {
    this.viciUri = viciUriIn(options.dir);
    this.pluginSocket = pluginSocketIn(options.dir);
    this.logPath = logPathIn(options.dir);
    // `ip netns exec` gives the process a mount namespace of its own: the bind mount, which puts our
    // plugin among charon's, is seen by this daemon only.
    const daemon = 'exec /usr/sbin/charon-systemd';
    const plugins = inRepository('build', 'plugins');
    this.process = options.namespace.spawn({
      name: `charon in ${options.dir}`,
      argv: [
        'sh',
        '-ec',
        options.backend === 'lagopus'
          ? `mount --bind '${plugins}' /usr/lib/ipsec/plugins; ${daemon}`
          : daemon,
      ],
      logPath: join(options.dir, 'charon.out'),
      env: { ...process.env, STRONGSWAN_CONF: strongswanConf },
    });
    this.swanctl = new Swanctl({
      uri: this.viciUri,
      dir: join(options.dir, 'swanctl'),
      strongswanConf,
      namespace: options.namespace,
    });
  }

  /** Starts it and waits until VICI answers. */
  static async start(options: CharonOptions): Promise<CharonDaemon> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    const strongswanConf = join(options.dir, 'strongswan.conf');
    await writeFile(
      strongswanConf,
      charonSettings({
        backend: options.backend,
        viciUri: viciUriIn(options.dir),
        pluginSocket: pluginSocketIn(options.dir),
        logPath: logPathIn(options.dir),
        logLevels: options.logLevels ?? { default: 1 },
        extra: options.extra ?? {},
      }),
    );
    const daemon = new CharonDaemon(options, strongswanConf);
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

function viciUriIn(dir: string): string {
  return `unix://${join(dir, 'charon.vici')}`;
}

function pluginSocketIn(dir: string): string {
  return join(dir, 'charon.lagopus');
}

function logPathIn(dir: string): string {
  return join(dir, 'charon.log');
}
