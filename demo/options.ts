import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export type DemoOptions = {
  /** Where the daemons' logs, configurations and sockets go and stay. */
  readonly keepDir: string | undefined;
  /** Everything logs all it can. */
  readonly isVerbose: boolean;
};

const USAGE = `usage: npm run demo [-- OPTIONS]
  --keep DIR   the daemons' logs and configurations go to DIR, new or empty, and stay
  --verbose    the daemons log all they can (the stock peer's log then has its keys)
  --help       this text`;

/** The text to print when arguments make no sense, or when it is asked for. */
export type Usage = { readonly usage: string; readonly isAsked: boolean };

export function readOptions(args: readonly string[]): DemoOptions | Usage {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        keep: { type: 'string' },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return { usage: USAGE, isAsked: true };
    return {
      keepDir: values.keep === undefined ? undefined : resolve(values.keep),
      isVerbose: values.verbose,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { usage: `demo: ${reason}\n${USAGE}`, isAsked: false };
  }
}
