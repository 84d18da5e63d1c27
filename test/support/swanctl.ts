import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Argv, CommandHost, CommandResult } from './command.ts';
import { inRepository } from './repository.ts';
import { formatSettings, type Settings } from './settings.ts';

const SWANCTL = inRepository('build', 'test-tools', 'swanctl');

/** A CHILD_SA as `swanctl --list-sas` tells it; numbers in charon's own units. */
export type ListedChildSa = {
  readonly name: string;
  readonly state: string;
  readonly mode: string;
  readonly spiIn: number;
  readonly spiOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
};

/** Drives one daemon over VICI, with strongSwan's own client. */
export class Swanctl {
  /** The folder of its certificates and keys: `x509/`, `x509ca/`, `private/`. */
  readonly dir: string;
  readonly uri: string;
  readonly #host: CommandHost;
  readonly #program: Argv;

  constructor(options: {
    readonly uri: string;
    readonly dir: string;
    readonly strongswanConf: string;
    readonly host: CommandHost;
  }) {
    this.uri = options.uri;
    this.dir = options.dir;
    this.#host = options.host;
    this.#program = [
      'env',
      `SWANCTL_DIR=${options.dir}`,
      `STRONGSWAN_CONF=${options.strongswanConf}`,
      SWANCTL,
    ];
  }

  /**
   * `swanctl VERB ...`, for instance `run(['--list-sas', '--raw'])`.
   *
   * @throws CommandError with what swanctl printed.
   */
  run(args: Argv, timeoutMs = 20_000): Promise<CommandResult> {
    return this.#host.run([...this.#program, ...args, '--uri', this.uri], { timeoutMs });
  }

  /** Loads a whole swanctl.conf; what an earlier one had and this one has not is unloaded. */
  async load(config: Settings): Promise<void> {
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    const path = join(this.dir, 'swanctl.conf');
    await writeFile(path, formatSettings(config), { mode: 0o600 });
    await this.run(['--load-all', '--noprompt', '--file', path]);
  }

  /** @throws CommandError when the CHILD_SA is not up in time; its text is IKE's own log. */
  initiate(child: string, timeoutMs = 10_000): Promise<CommandResult> {
    const seconds = String(Math.ceil(timeoutMs / 1000));
    return this.run(['--initiate', '--child', child, '--timeout', seconds], timeoutMs + 5_000);
  }

  terminate(what: { readonly child: string } | { readonly ike: string }): Promise<CommandResult> {
    return this.run(['--terminate', ...selector(what), '--timeout', '10']);
  }

  rekey(what: { readonly child: string } | { readonly ike: string }): Promise<CommandResult> {
    return this.run(['--rekey', ...selector(what)]);
  }

  /** Every CHILD_SA of every IKE_SA, in charon's order. */
  async childSas(): Promise<ListedChildSa[]> {
    return parseChildSas((await this.run(['--list-sas', '--raw'])).stdout);
  }
}

/** What `swanctl --list-sas --raw` says of CHILD_SAs. */
export function parseChildSas(listing: string): ListedChildSa[] {
  return [...listing.matchAll(/\{name=(\S+) uniqueid=\d+ reqid=\d+ (.*?)\}/g)].map((match) => {
    const field = (key: string): string => new RegExp(`(?:^| )${key}=(\\S+)`).exec(match[2] ?? '')?.[1] ?? '';
    return {
      name: match[1] ?? '',
      state: field('state'),
      mode: field('mode'),
      spiIn: Number.parseInt(field('spi-in'), 16),
      spiOut: Number.parseInt(field('spi-out'), 16),
      packetsIn: Number(field('packets-in')),
      packetsOut: Number(field('packets-out')),
      bytesIn: Number(field('bytes-in')),
      bytesOut: Number(field('bytes-out')),
    };
  });
}

function selector(what: { readonly child: string } | { readonly ike: string }): [string, string] {
  return 'child' in what ? ['--child', what.child] : ['--ike', what.ike];
}
