import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { eventually, type ManagedProcess, type Site } from '../support/index.ts';
import { TUNNEL_DEVICE, VRF, VSW_DEVICES } from './configuration.ts';
import { dumbPort, logTail } from './log-tail.ts';
import { routeIntoTunnel } from './network.ts';
import { type VswProgram, vswArgv } from './options.ts';

const START_TIMEOUT_MS = 40_000;
/** Its ports are read 100 ms later at the latest. */
const READERS_MS = 300;
/** The pref of vsw's routing rules. */
const RULE_PREF = '1000';

/**
 * A real vsw in the router's namespace. Its sockets in /var/tmp are in a directory of the lab, so that it is
 * in the way of no other one.
 */
export class Vsw implements AsyncDisposable {
  readonly #process: ManagedProcess;

  private constructor(process: ManagedProcess) {
    this.#process = process;
  }

  /**
   * Starts it and waits until its tunnel interface is there; the driver listens already.
   *
   * @throws Error with the end of its log, and what to do.
   */
  static async start(
    site: Site,
    options: { readonly program: VswProgram; readonly configuration: string; readonly life: number },
  ): Promise<Vsw> {
    await mkdir(pfkeyDir(site), { recursive: true, mode: 0o700 });
    await removeLeftovers(site);
    const argv = vswArgv(options.program, options.configuration);
    await rm(join(pfkeyDir(site), `lagopus-${VRF}.sock`), { force: true });
    const process = site.namespace.spawn({
      name: 'vsw',
      argv: ['sh', '-c', 'mount --bind "$0" /var/tmp && exec "$@"', pfkeyDir(site), ...argv],
      logPath: join(site.dir, `vsw-${options.life}.log`),
      graceMs: 1_000,
    });
    const vsw = new Vsw(process);
    try {
      await vsw.#waitUp(site);
      return vsw;
    } catch (error) {
      const log = logTail(await process.log());
      await vsw[Symbol.asyncDispose]();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`vsw: ${reason}\n  started as: ${argv.join(' ')}\n${indent(log)}\n${ADVICE}`);
    }
  }

  async #waitUp(site: Site): Promise<void> {
    const isUp = async (): Promise<boolean> => {
      if (!this.#process.isRunning) return true;
      return /[<,]UP[,>]/.test(await site.namespace.ip('link', 'show', TUNNEL_DEVICE));
    };
    await eventually(`${TUNNEL_DEVICE} is up in the router's namespace`, isUp, {
      timeoutMs: START_TIMEOUT_MS,
      intervalMs: 100,
    });
    // One that cannot go on after all ends at once.
    await setTimeout(100);
    if (this.#process.isRunning) {
      await routeIntoTunnel(site);
      return await this.#checkPorts();
    }
    const { code, signal } = await this.#process.exited;
    throw new Error(`it ended (${signal ?? `status ${code}`}) before its tunnel interface was up`);
  }

  async #checkPorts(): Promise<void> {
    await setTimeout(READERS_MS);
    const line = dumbPort(await this.#process.log());
    if (line === undefined) return;
    throw new Error(
      `one of its ports is dumb from the start (${line}): start it again, or see docs/router-lab.md`,
    );
  }

  /** As a crash would end it. */
  kill(): Promise<void> {
    return this.#process.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

/** Where vsw's PF_KEY sockets are. */
export function pfkeyDir(site: Site): string {
  return join(site.dir, 'var-tmp');
}

/** A vsw that was killed leaves its TAPs and rules, and would not start among them. */
async function removeLeftovers({ namespace }: Site): Promise<void> {
  for (const device of VSW_DEVICES) await namespace.ip('link', 'delete', device).catch(() => undefined);
  for (let at = 0; at < 16; at++) {
    const isThere = await namespace.ip('rule', 'delete', 'pref', RULE_PREF).then(
      () => true,
      () => false,
    );
    if (!isThere) return;
  }
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  | ');
}

const ADVICE = `What to do: start it by hand in a namespace with the files of --print; see that LD_LIBRARY_PATH, --pmd-path
and DPDK's memory (huge pages, or --no-huge) are as it was built; --keep DIR keeps its whole log. docs/router-lab.md`;
