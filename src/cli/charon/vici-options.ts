import { type Command, InvalidArgumentError, Option } from 'commander';
import { ViciClient } from '../../vici/index.ts';
import { parseSeconds } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';

const DEFAULT_VICI_URI = 'unix:///run/charon.vici';

/** human: tables; json: one document; ndjson: one line per item; raw: as `swanctl --raw` prints. */
export type OutputFormat = 'human' | 'json' | 'ndjson' | 'raw';

/** What every command that talks to charon takes. */
export type ViciCommandOptions = {
  readonly vici: string;
  readonly format: OutputFormat;
  /** In milliseconds. */
  readonly timeout: number;
};

/** What bounds a call. */
export type ViciCall = { readonly signal: AbortSignal; readonly timeoutMs: number };

/** Adds `--vici`, `--format` and `--timeout`. */
export function withViciOptions(command: Command, timeoutSeconds = 10): Command {
  return command
    .option('--vici <uri>', "charon's socket: unix:///path or tcp://host:port", DEFAULT_VICI_URI)
    .addOption(
      new Option('--format <format>', 'how to print')
        .choices(['human', 'json', 'ndjson', 'raw'])
        .default('human'),
    )
    .addOption(
      new Option('--timeout <seconds>', 'give up after this long')
        .argParser(parseSeconds)
        .default(timeoutSeconds * 1000, String(timeoutSeconds)),
    );
}

/** Adds `--ike`, `--child`, `--ike-id` and `--child-id`. */
export function withSaFilter(command: Command): Command {
  return command
    .option('--ike <name>', 'of connections of this name')
    .option('--child <name>', 'CHILD_SAs of this name')
    .option('--ike-id <id>', 'the IKE_SA with this unique id', parseUniqueId)
    .option('--child-id <id>', 'the CHILD_SA with this unique id', parseUniqueId);
}

/** A client for one command; SIGINT and SIGTERM end what it does. */
export async function withClient<T>(
  options: ViciCommandOptions,
  work: (vici: ViciClient, call: ViciCall) => Promise<T>,
  { reconnect = false } = {},
): Promise<T> {
  await using vici = new ViciClient({ uri: options.vici, reconnect });
  return await work(vici, { signal: stopSignal(), timeoutMs: options.timeout });
}

function parseUniqueId(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError(`expected a unique id, not "${text}"`);
  return Number(text);
}
