import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CharonOptions, writeCharonSettings } from './charon-daemon.ts';
import { type Argv, CommandError, type CommandHost, type CommandResult } from './command.ts';
import { eventually } from './eventually.ts';
import type { GuestSite } from './lab.ts';
import type { ManagedProcess } from './managed-process.ts';
import { inRepository } from './repository.ts';
import { Swanctl } from './swanctl.ts';
import { guestInit } from './uml-init.ts';

/**
 * A Linux kernel as the right gateway: User-mode Linux, one ordinary process over the host's files.
 *
 *     left ─ eth0 ─ br0 ─ tap0 ═ vec0 (outer) guest vec1 (inner) ═ tap1 ─ the right inner host
 *
 * Its kernel does ESP (and AH) itself; `charon` gives it a stock charon with kernel-netlink.
 */
export class UmlGuest implements AsyncDisposable, CommandHost {
  readonly process: ManagedProcess;
  readonly #dir: string;
  #commandCounter = 0;

  private constructor(site: GuestSite, dir: string) {
    this.#dir = dir;
    this.process = site.namespace.spawn({
      name: 'UML guest',
      argv: [
        // See there: without it no guest boots on processors with AMX.
        ...(['env', `LD_PRELOAD=${inRepository('build', 'test-tools', 'uml-xstate.so')}`] as const),
        'linux.uml',
        'mem=256M',
        ...['rootfstype=hostfs', 'rootflags=/', 'root=/dev/root', 'ro', `init=${join(dir, 'init.sh')}`],
        ...['con=null', 'ssl=null', 'ssl0=fd:0,fd:1', 'umid=guest', `uml_dir=${join(dir, 'uml')}/`],
        ...[
          'vec0:transport=tap,ifname=tap0,depth=128,gro=1',
          'vec1:transport=tap,ifname=tap1,depth=128,gro=1',
        ],
      ],
      logPath: join(dir, 'console.log'),
      hasInput: true,
      // It has no state worth a shutdown.
      graceMs: 0,
    });
  }

  /** Boots it: about two seconds. */
  static async start(site: GuestSite): Promise<UmlGuest> {
    const dir = join(site.dir, 'guest');
    await mkdir(join(dir, 'uml'), { recursive: true, mode: 0o700 });
    const boot = { dir, outerAddress: `${site.outer}/24`, innerAddress: `${site.innerGateway}/24` };
    await writeFile(join(dir, 'init.sh'), guestInit(boot));
    await chmod(join(dir, 'init.sh'), 0o755);
    const guest = new UmlGuest(site, dir);
    try {
      await guest.process.waitFor('it has booted', () => readFile(join(dir, 'ready')), 30_000);
      return guest;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a command in the guest; several may run at once. */
  async run(argv: Argv, options: { readonly timeoutMs?: number } = {}): Promise<CommandResult> {
    this.#commandCounter += 1;
    const id = String(this.#commandCounter);
    this.process.write(`${id} ${argv.map(quote).join(' ')}\n`);
    const file = (name: string): string => join(this.#dir, `${name}.${id}`);
    const { timeoutMs = 20_000 } = options;
    const status = await eventually(`the guest answers`, () => readFile(file('status'), 'utf8'), {
      timeoutMs,
    })
      .then(Number)
      .catch(() => undefined);
    const read = (name: string): Promise<string> => readFile(file(name), 'utf8').catch(() => '');
    const result = { stdout: await read('stdout'), stderr: await read('stderr') };
    await Promise.all(['stdout', 'stderr', 'status'].map((name) => rm(file(name), { force: true })));
    if (status !== 0) throw new CommandError(argv, status, result);
    return result;
  }

  /** `ip -s xfrm state`: every SA of the guest's kernel, keys and counters included. */
  async xfrmState(): Promise<string> {
    return (await this.run(['ip', '-s', 'xfrm', 'state'])).stdout;
  }

  /** `ip -s xfrm policy` */
  async xfrmPolicy(): Promise<string> {
    return (await this.run(['ip', '-s', 'xfrm', 'policy'])).stdout;
  }

  /** Starts the guest's charon; returns its control. It ends with the guest. */
  async charon(options: Pick<CharonOptions, 'logLevels' | 'extra'> = {}): Promise<Swanctl> {
    const files = await writeCharonSettings({
      ...options,
      dir: this.#dir,
      viciUri: VICI_URI,
      backend: 'kernel',
    });
    const start = `STRONGSWAN_CONF='${files.strongswanConf}' charon-systemd >charon.out 2>&1 &`;
    await this.run(['sh', '-c', start]);
    const swanctl = new Swanctl({ ...files, uri: VICI_URI, host: this });
    await this.process.waitFor("the guest's VICI answers", async () => {
      await swanctl.run(['--version', '--daemon']);
      return true;
    });
    return swanctl;
  }

  /** The guest's charon's log. */
  charonLog(): Promise<string> {
    return readFile(join(this.#dir, 'charon.log'), 'utf8');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

/** In the guest's own /run: no socket file reaches the host. */
const VICI_URI = 'unix:///run/charon.vici';

/** Quotes for the guest's shell. The serial line ends a command at a newline. */
function quote(word: string): string {
  if (word.includes('\n')) throw new Error(`a line break in a guest's command: ${word}`);
  return `'${word.replaceAll("'", "'\\''")}'`;
}
