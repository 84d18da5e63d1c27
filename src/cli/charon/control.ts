import { Command, InvalidArgumentError } from 'commander';
import { AgentError } from '../../util/index.ts';
import {
  type ControlOutcome,
  type ControlProgress,
  formatRaw,
  type LogLevel,
  type MatchOutcome,
  type SaFilter,
  type ViciArguments,
  type ViciClient,
} from '../../vici/index.ts';
import { print } from '../options.ts';
import { jsonLine, printRawStream } from './output.ts';
import {
  type ViciCall,
  type ViciCommandOptions,
  withClient,
  withSaFilter,
  withViciOptions,
} from './vici-options.ts';

/** How long IKE may take. */
const CONTROL_TIMEOUT_SECONDS = 30;

type ControlCommandOptions = ViciCommandOptions & { readonly loglevel: LogLevel };

export function controlCommands(): readonly Command[] {
  return [initiateCommand(), terminateCommand(), rekeyCommand()];
}

function initiateCommand(): Command {
  const command = new Command('initiate')
    .description('bring up a CHILD_SA, or an IKE_SA alone')
    .option('--child <name>', 'the CHILD_SA to bring up')
    .option('--ike <name>', 'the connection to bring up, or to find the child in');
  return withControlOptions(command).action(
    (options: ControlCommandOptions & { readonly child?: string; readonly ike?: string }) => {
      const { child, ike, loglevel: logLevel } = options;
      if (child === undefined && ike === undefined) throw missing('--child or --ike');
      const args = { child, ike, timeout: options.timeout, loglevel: logLevel };
      return follow(options, 'initiate', args, (vici, { signal, timeoutMs }) =>
        vici.followInitiate({ child, ike }, { signal, timeoutMs, logLevel }),
      );
    },
  );
}

function terminateCommand(): Command {
  const command = new Command('terminate')
    .description('close SAs')
    .option('--force', 'destroy an IKE_SA without waiting for its peer', false);
  return withSaFilter(withControlOptions(command)).action(
    (options: ControlCommandOptions & SaFilter & { readonly force: boolean }) => {
      const filter = { ...requireFilter(options), force: options.force };
      const force = options.force ? true : undefined;
      const args = { ...toArguments(filter), force, timeout: options.timeout, loglevel: options.loglevel };
      return follow(options, 'terminate', args, (vici, { signal, timeoutMs }) =>
        vici.followTerminate(filter, { signal, timeoutMs, logLevel: options.loglevel }),
      );
    },
  );
}

function rekeyCommand(): Command {
  const command = new Command('rekey')
    .description('start the rekeying of SAs')
    .option('--reauth', 'authenticate again in the place of rekeying', false);
  return withSaFilter(withViciOptions(command)).action(
    (options: ViciCommandOptions & SaFilter & { readonly reauth: boolean }) =>
      withClient(options, async (vici, call) => {
        const filter = { ...requireFilter(options), reauth: options.reauth };
        if (options.format === 'raw') {
          const reauth = options.reauth ? true : undefined;
          const reply = await vici.request('rekey', { ...toArguments(filter), reauth }, call);
          print(formatRaw('rekey reply', reply));
          if (reply.text('success') !== 'yes') process.exitCode = 1;
          return;
        }
        const outcome = await vici.rekey(filter, call);
        if (options.format !== 'human') print(jsonLine(outcome));
        throwIfFailed('rekey', outcome);
        if (options.format === 'human') print(describe('rekey', outcome));
      }),
  );
}

function withControlOptions(command: Command): Command {
  return withViciOptions(command, CONTROL_TIMEOUT_SECONDS).option(
    '--loglevel <level>',
    "of charon's log to show, 0 to 3",
    parseLogLevel,
    1,
  );
}

/** Prints what charon logs, then what became of it. */
function follow(
  options: ViciCommandOptions,
  command: 'initiate' | 'terminate',
  args: ViciArguments,
  steps: (vici: ViciClient, call: ViciCall) => AsyncIterable<ControlProgress<ControlOutcome | MatchOutcome>>,
): Promise<void> {
  return withClient(options, async (vici, call) => {
    if (options.format === 'raw') {
      const messages = vici.stream(command, 'control-log', args, call);
      return await printRawStream(messages, { command, event: 'control-log' });
    }
    for await (const step of steps(vici, call)) {
      if (step.kind !== 'log') {
        if (options.format !== 'human') print(jsonLine(step));
        throwIfFailed(command, step);
        if (options.format === 'human') print(describe(command, step));
      } else if (options.format === 'ndjson') print(jsonLine(step));
      else if (options.format === 'human') print(`[${step.log.group}] ${step.log.text}`);
    }
  });
}

function describe(command: string, outcome: ControlOutcome | MatchOutcome): string {
  const matches = 'matches' in outcome ? `, ${outcome.matches} SAs` : '';
  return `${command}: ${outcome.kind}${matches}`;
}

function throwIfFailed(command: string, outcome: ControlOutcome | MatchOutcome): void {
  if (outcome.kind === 'done') return;
  throw new AgentError(`charon did not ${command}: ${outcome.reason}`, { code: 'refused' });
}

function requireFilter({ ike, child, ikeId, childId }: SaFilter): SaFilter {
  const filter = { ike, child, ikeId, childId };
  if (Object.values(filter).every((value) => value === undefined)) {
    throw missing('--ike, --child, --ike-id or --child-id');
  }
  return filter;
}

function toArguments({ ike, child, ikeId, childId }: SaFilter): ViciArguments {
  return { ike, child, 'ike-id': ikeId, 'child-id': childId };
}

function missing(what: string): AgentError {
  return new AgentError(`name what it is about: ${what}`, { code: 'invalid-input' });
}

function parseLogLevel(text: string): LogLevel {
  const level = ([0, 1, 2, 3] as const).find((known) => String(known) === text);
  // 4 holds keys.
  if (level === undefined) throw new InvalidArgumentError(`expected 0, 1, 2 or 3, not "${text}"`);
  return level;
}
