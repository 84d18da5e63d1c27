import { Command } from 'commander';
import { askAgent } from '../agent/index.ts';
import { type AskOptions, print, printJson, withAskOptions } from './options.ts';

/** `ipsec-agent diff`: like diff(1), silent and 0 when both sides are equal, 1 when they differ. */
export function diffCommand(): Command {
  const command = new Command('diff').description(
    'compare what charon negotiated with what the dataplane holds; exit 1 when they differ',
  );
  return withAskOptions(command, 10).action(async (options: AskOptions) => {
    const diff = await askAgent(options.socket, 'diff', { signal: AbortSignal.timeout(options.timeout) });
    if (options.json) printJson(diff);
    else {
      for (const entry of diff.entries) {
        const fields = entry.fields.length === 0 ? '' : ` (${entry.fields.join(', ')})`;
        print(`${entry.kind} ${entry.what}${fields}`);
      }
    }
    process.exitCode = diff.isInSync ? 0 : 1;
  });
}
