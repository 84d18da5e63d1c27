import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ViciClient } from '../../src/vici/index.ts';
import { writeCharonSettings } from './charon-daemon.ts';
import type { ManagedProcess } from './managed-process.ts';
import type { NetNamespace } from './net-namespace.ts';
import { inRepository } from './repository.ts';
import type { Settings } from './settings.ts';

const ROOT = inRepository('.tools', 'strongswan-6', 'root');
const FETCH_TIMEOUT_MS = 180_000;

/** Fetches strongSwan 6 unless it is there, and tells of its progress. Gives why that failed, if so. */
export function fetchStrongswan6(): string | undefined {
  const script = inRepository('scripts', 'strongswan-6.sh');
  const { status } = spawnSync('sh', [script], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: FETCH_TIMEOUT_MS,
  });
  if (status === 0) return undefined;
  return 'strongSwan 6 could not be fetched: it comes from Debian 13, see what `sh scripts/strongswan-6.sh` says';
}

/** Debian 13's charon-systemd in a namespace, with its own libraries by chroot. */
export class Charon6 implements AsyncDisposable {
  readonly viciUri: string;
  readonly process: ManagedProcess;

  private constructor(namespace: NetNamespace, dir: string, viciUri: string, strongswanConf: string) {
    this.viciUri = viciUri;
    this.process = namespace.spawn({
      name: `charon 6 in ${dir}`,
      argv: ['env', `STRONGSWAN_CONF=${strongswanConf}`, 'sh', '-ec', startScript(dir)],
      logPath: join(dir, 'charon.out'),
    });
  }

  /** Starts it and waits until VICI answers. */
  static async start(options: {
    readonly namespace: NetNamespace;
    readonly dir: string;
    readonly extra?: Settings;
  }): Promise<Charon6> {
    const { namespace, dir } = options;
    const viciUri = `unix://${join(dir, 'charon.vici')}`;
    const files = await writeCharonSettings({ ...options, backend: 'libipsec', viciUri });
    const daemon = new Charon6(namespace, dir, viciUri, files.strongswanConf);
    try {
      await using vici = new ViciClient({ uri: viciUri });
      await daemon.process.waitFor('VICI answers', async () => (await vici.version()).version);
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

/** `ip netns exec` gives the process a mount namespace of its own: nobody else sees these mounts. */
function startScript(dir: string): string {
  const top = dir.split('/')[1] ?? '';
  return `mount --rbind /dev '${ROOT}/dev'; mount --rbind /proc '${ROOT}/proc'
    mount -t tmpfs tmpfs '${ROOT}/${top}'; mkdir -p '${ROOT}${dir}'
    mount --bind '${dir}' '${ROOT}${dir}'
    exec chroot '${ROOT}' /usr/sbin/charon-systemd`;
}
