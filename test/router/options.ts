import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** How vsw is started: `PATH -f CONF`, or words for the shell with the configuration's path behind them. */
export type VswProgram =
  | { readonly kind: 'binary'; readonly path: string }
  | { readonly kind: 'command'; readonly words: string };

/** What vsw.conf says of the machine. */
export type VswMachine = {
  /** Where DPDK's drivers are, when they are shared libraries. */
  readonly pmdPath: string | undefined;
  /** The crypto device, and whatever else is wanted; the two ports come behind it. */
  readonly vdevs: readonly string[];
  /** Inbound IPsec has the first; outbound, and everything else, the second. */
  readonly cores: readonly [number, number];
};

export type RouterOptions = VswMachine & {
  readonly program: VswProgram;
  readonly via: 'relay' | 'pfkey';
  /** HOST:PORT as this machine reaches it; else a router file. */
  readonly openconfigd: string | undefined;
  /** The driver's `relay.messages`. */
  readonly messages: string | undefined;
  /** Where logs and configurations go and stay. */
  readonly keepDir: string | undefined;
};

/** A text to print, and whether it was asked for. */
export type Answer = { readonly text: string; readonly isAsked: boolean };

const USAGE = `usage: npm run router -- --vsw PATH [OPTIONS]
  --vsw PATH              vsw, started as PATH -f CONFIGURATION with this environment
  --command WORDS         or: the shell's words that start it; the configuration's path is appended
  --via relay|pfkey       how the driver installs SAs (relay)
  --openconfigd HOST:PORT an openconfigd with the configuration of --print; else a router file
  --messages RELEASES     the driver's relay.messages, for an openconfigd of another release than vsw's
  --pmd-path DIR          DPDK's drivers, when they are shared libraries
  --vdev DEVICE           in place of crypto_openssl; may be repeated
  --cores A,B             inbound IPsec on A, everything else on B (0,1)
  --keep DIR              logs and configurations go to DIR and stay (vsw's logs have keys)
  --print                 the router's configuration and vsw.conf, and nothing else`;

export type PrintRequest = { readonly print: VswMachine };

export function readOptions(args: readonly string[]): RouterOptions | PrintRequest | Answer {
  try {
    return parse(args);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { text: `router: ${reason}\n${USAGE}`, isAsked: false };
  }
}

function parse(args: readonly string[]): RouterOptions | PrintRequest | Answer {
  const { values } = parseArgs({
    args: [...args],
    options: {
      vsw: { type: 'string' },
      command: { type: 'string' },
      via: { type: 'string', default: 'relay' },
      openconfigd: { type: 'string' },
      messages: { type: 'string' },
      'pmd-path': { type: 'string' },
      vdev: { type: 'string', multiple: true, default: ['crypto_openssl'] },
      cores: { type: 'string', default: '0,1' },
      keep: { type: 'string' },
      print: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { text: USAGE, isAsked: true };
  const pmdPath = values['pmd-path'];
  const machine: VswMachine = {
    pmdPath: pmdPath === undefined ? undefined : resolve(pmdPath),
    vdevs: values.vdev,
    cores: parseCores(values.cores),
  };
  if (values.print) return { print: machine };
  const { openconfigd, messages, keep } = values;
  if (openconfigd !== undefined && !/^[^\s/:]+:\d{1,5}$/.test(openconfigd)) {
    throw new Error(`--openconfigd ${openconfigd}: expected HOST:PORT`);
  }
  if (messages !== undefined && openconfigd === undefined) throw new Error('--messages needs --openconfigd');
  return {
    ...machine,
    program: parseProgram(values.vsw, values.command),
    via: parseVia(values.via),
    openconfigd,
    messages,
    keepDir: keep === undefined ? undefined : resolve(keep),
  };
}

function parseProgram(path: string | undefined, words: string | undefined): VswProgram {
  if (path !== undefined && words === undefined) return { kind: 'binary', path: resolve(path) };
  if (words !== undefined && path === undefined) return { kind: 'command', words };
  throw new Error('expected either --vsw or --command');
}

function parseVia(via: string): 'relay' | 'pfkey' {
  if (via !== 'relay' && via !== 'pfkey') throw new Error(`--via ${via}: expected relay or pfkey`);
  return via;
}

/** vsw takes masks of 64 bits; two cores, as inbound and outbound IPsec cannot be on one. */
function parseCores(text: string): readonly [number, number] {
  const [, a, b] = /^(\d{1,2}),(\d{1,2})$/.exec(text) ?? [];
  const cores = [Number(a), Number(b)] as const;
  if (a === undefined || cores[0] === cores[1] || Math.max(...cores) > 63) {
    throw new Error(`--cores ${text}: expected two cores, as 0,1`);
  }
  return cores;
}

/** The command line that starts vsw. */
export function vswArgv(program: VswProgram, configuration: string): readonly [string, ...string[]] {
  return program.kind === 'binary'
    ? [program.path, '-f', configuration]
    : ['sh', '-c', `exec ${program.words} "$1"`, 'vsw', configuration];
}
