import { Command } from 'commander';
import { askAgent, type LinkReport } from '../agent/index.ts';
import { type AskOptions, print, printJson, withAskOptions } from './options.ts';

function describeLink(link: LinkReport): string {
  const detail = link.state === 'connected' ? link.peer : link.reason;
  return detail === null ? link.state : `${link.state} (${detail})`;
}

/** `ipsec-agent status`: is it connected, is it in sync, what did it do. */
export function statusCommand(): Command {
  const command = new Command('status').description('show connections and totals of the running agent');
  return withAskOptions(command, 5).action(async (options: AskOptions) => {
    const status = await askAgent(options.socket, 'status', { signal: AbortSignal.timeout(options.timeout) });
    if (options.json) return printJson(status);
    const { totals } = status;
    print(`agent      ${status.version}, ${status.isReady ? 'ready' : 'not ready'}`);
    print(`plugin     ${describeLink(status.plugin)}`);
    print(`vici       ${describeLink(status.vici)}`);
    print(`dataplane  ${describeLink(status.dataplane)}`);
    print(
      `desired    ${status.desired.sas} SAs, ${status.desired.policies} policies, ${status.pending} pending`,
    );
    print(
      `applied    ${totals.added} added, ${totals.updated} updated, ${totals.deleted} deleted, ` +
        `${totals.failed} failed, ${totals.unknown} unknown; ${totals.cycles} comparisons`,
    );
    for (const { key, attempts, reason } of status.repairs) {
      print(`repair     ${key}: ${reason} (tried ${attempts} times)`);
    }
    const { foreign, braked } = status.withheld;
    if (foreign.length > 0) {
      print(`left alone ${foreign.length} entries of another charon that uses the same owner`);
    }
    if (braked.length > 0) {
      print(`held       ${braked.length} deletions, until two VICI listings lack these SAs too`);
    }
    for (const { ike, child, attempts, reason } of status.setups) {
      print(`setup      ${ike}/${child}: ${reason} (initiated ${attempts} times)`);
    }
  });
}
