import { type Command, InvalidArgumentError } from 'commander';
import { DEFAULT_CONTROL_SOCKET } from '../agent/index.ts';

/** What every command that asks a running agent takes. */
export type AskOptions = { readonly socket: string; readonly timeout: number; readonly json: boolean };

/** A positive number of seconds; the value is in milliseconds. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds <= 0) {
    throw new InvalidArgumentError(`expected a positive number of seconds, not "${text}"`);
  }
  return seconds * 1000;
}

/** Adds `--socket`, `--timeout` and `--json`. */
export function withAskOptions(command: Command, timeoutSeconds: number): Command {
  return command
    .option('--socket <path>', "the agent's control socket", DEFAULT_CONTROL_SOCKET)
    .option('--timeout <seconds>', `give up after this long (default: ${timeoutSeconds})`, parseSeconds)
    .hook('preAction', (self) => {
      if (self.getOptionValue('timeout') === undefined) self.setOptionValue('timeout', timeoutSeconds * 1000);
    })
    .option('--json', 'print JSON', false);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}
