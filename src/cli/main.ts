import { flushCompileCache } from 'node:module';
import { Command, CommanderError } from 'commander';
import { AgentError, errorMessage } from '../util/index.ts';
import { charonCommand } from './charon.ts';
import { dataplaneCommand } from './dataplane.ts';
import { diffCommand } from './diff.ts';
import { explainCommand } from './explain.ts';
import { runCommand } from './run.ts';
import { sadCommand } from './sad.ts';
import { statusCommand } from './status.ts';
import { readVersion } from './version.ts';
import { vswCommand } from './vsw.ts';
import { waitReadyCommand } from './wait-ready.ts';

/** Exit codes: 0 done, 1 failed or differs, 2 the input is wrong. */
const EXIT_FAILED = 1;
const EXIT_INVALID_INPUT = 2;

async function main(): Promise<void> {
  // At its end a process would keep what it compiled; one that is killed has no end.
  flushCompileCache();
  const program = new Command('ipsec-agent')
    .description("Keeps a dataplane's IPsec SAs and policies equal to what strongSwan's charon negotiated.")
    .version(await readVersion())
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed (diff: differs), 2 wrong arguments or configuration.',
    )
    .showHelpAfterError('(--help shows what is possible)');
  for (const command of [
    runCommand,
    dataplaneCommand,
    vswCommand,
    statusCommand,
    sadCommand,
    diffCommand,
    explainCommand,
    waitReadyCommand,
    charonCommand,
  ]) {
    program.addCommand(command().exitOverride());
  }
  program.exitOverride();
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_INVALID_INPUT;
      return;
    }
    process.stderr.write(`ipsec-agent: ${errorMessage(error)}\n`);
    const isInput = error instanceof AgentError && error.code === 'invalid-input';
    process.exitCode = isInput ? EXIT_INVALID_INPUT : EXIT_FAILED;
  }
}

await main();
