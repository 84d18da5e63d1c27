import { Command } from 'commander';
import { askAgent, type DiffReport, type PlanReport } from '../agent/index.ts';
import { type AskOptions, print, printJson, withAskOptions } from './options.ts';

function printDiff({ entries, notes = [] }: DiffReport): void {
  for (const entry of entries) {
    const fields = entry.fields.length === 0 ? '' : ` (${entry.fields.join(', ')})`;
    print(`${entry.kind} ${entry.what}${fields}`);
  }
  for (const note of notes) process.stderr.write(`ipsec-agent: ${note}\n`);
}

function again(nextTryInMs: number): string {
  return nextTryInMs < 1_000 ? 'now' : `in ${Math.round(nextTryInMs / 1000)} s`;
}

function printPlan({ isSent, operations, rekeys, withheld }: PlanReport): void {
  const verb = isSent ? 'do' : 'would';
  operations.forEach(({ operation, what }, index) => {
    print(`${verb} ${index + 1}: ${operation} ${what}`);
  });
  for (const { sa, attempts, nextTryInMs } of rekeys) {
    print(`rekey ${sa}: lost, asked ${attempts} times, next ${again(nextTryInMs)}`);
  }
  for (const { what, reason, nextTryInMs } of withheld) {
    print(`wait ${what}: ${reason}${nextTryInMs === null ? '' : `; again ${again(nextTryInMs)}`}`);
  }
}

/** `ipsec-agent diff`: like diff(1), silent and 0 when both sides are equal, 1 when they differ. */
export function diffCommand(): Command {
  const command = new Command('diff')
    .description('compare what charon negotiated with what the dataplane holds; exit 1 when they differ')
    .option('--plan', 'show what a repair would do about it now, in order, and what it would not', false);
  return withAskOptions(command, 10).action(async (options: AskOptions & { readonly plan: boolean }) => {
    const call = { signal: AbortSignal.timeout(options.timeout) };
    if (options.plan) {
      const plan = await askAgent(options.socket, 'plan', call);
      if (options.json) printJson(plan);
      else {
        printDiff(plan);
        printPlan(plan);
      }
      process.exitCode = plan.isInSync ? 0 : 1;
      return;
    }
    const diff = await askAgent(options.socket, 'diff', call);
    if (options.json) printJson(diff);
    else printDiff(diff);
    process.exitCode = diff.isInSync ? 0 : 1;
  });
}
