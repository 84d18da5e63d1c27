import { Command } from 'commander';
import { askAgent, type LinkReport, type StatusReport } from '../agent/index.ts';
import { type AskOptions, print, printJson, withAskOptions } from './options.ts';

/** More of them are counted, not named: `--json` has all. */
const MOST_NAMED = 20;

function describeLink(link: LinkReport): string {
  const detail = link.state === 'connected' ? link.peer : link.reason;
  return detail === null ? link.state : `${link.state} (${detail})`;
}

function printSome(lines: readonly string[], what: string): void {
  for (const line of lines.slice(0, MOST_NAMED)) print(line);
  if (lines.length > MOST_NAMED) print(`           and ${lines.length - MOST_NAMED} more ${what}: --json`);
}

function printEngine(status: StatusReport): void {
  const { desired, actual, pending, totals, repairs, setups, withheld } = status;
  const held = actual === null ? '' : `; the dataplane holds ${actual.sas} and ${actual.policies}`;
  print(`desired    ${desired.sas} SAs, ${desired.policies} policies, ${pending} pending${held}`);
  print(
    `applied    ${totals.added} added, ${totals.updated} updated, ${totals.deleted} deleted, ` +
      `${totals.failed} failed, ${totals.unknown} unknown; ${totals.cycles} comparisons`,
  );
  printSome(
    repairs.map(({ key, attempts, reason }) => `repair     ${key}: ${reason} (tried ${attempts} times)`),
    'repairs',
  );
  printSome(
    setups.map(
      ({ ike, child, attempts, reason }) =>
        `setup      ${ike}/${child}: ${reason} (initiated ${attempts} times)`,
    ),
    'setups',
  );
  const { foreign, braked } = withheld;
  if (foreign.length > 0) {
    print(`left alone ${foreign.length} entries of another charon that uses the same owner`);
  }
  if (braked.length > 0) {
    print(`held       ${braked.length} deletions, until two VICI listings lack these SAs too`);
  }
}

function printDataplane({ spiSlots, dataplaneNotes }: StatusReport): void {
  for (const { vrf, direction, slots, used, collisionOdds } of spiSlots) {
    const where = [vrf, ...(direction === 'both' ? [] : [direction])].filter((word) => word !== '').join(' ');
    const odds = `${(100 * collisionOdds).toFixed(1)} %`;
    print(
      `SPI slots  ${where} ${used} of ${slots}; the next SPI a peer draws finds its slot taken with ${odds}`,
    );
  }
  for (const note of dataplaneNotes) print(`note       ${note}`);
}

function printAudit({ audit }: StatusReport): void {
  const { completeListings, incompleteListings, lastCompleteSecondsAgo, findings } = audit;
  const last =
    lastCompleteSecondsAgo === null ? '' : `, the last complete one ${lastCompleteSecondsAgo} s ago`;
  const count = completeListings + incompleteListings;
  print(`listings   ${count} of charon, ${incompleteListings} of them incomplete${last}`);
  printSome(
    findings.map(({ kind, sa, childSa, sinceSeconds }) => {
      const what =
        kind === 'untold'
          ? `listed by charon (${childSa}), not told by its plugin`
          : 'told by the plugin, not listed by charon';
      return `differs    ${sa}: ${what}, for ${sinceSeconds} s`;
    }),
    'SAs',
  );
}

/** `ipsec-agent status`: is it connected, is it in sync, what did it do. */
export function statusCommand(): Command {
  const command = new Command('status').description('show connections and totals of the running agent');
  return withAskOptions(command, 5).action(async (options: AskOptions) => {
    const status = await askAgent(options.socket, 'status', { signal: AbortSignal.timeout(options.timeout) });
    if (options.json) return printJson(status);
    if (status.plugin === null) {
      print(`agent      ${status.version}, source vici: shows and compares; nothing is installed or deleted`);
    } else {
      print(`agent      ${status.version}, ${status.isReady ? 'ready' : 'not ready'}`);
      print(`plugin     ${describeLink(status.plugin)}`);
    }
    print(`vici       ${describeLink(status.vici)}`);
    print(`dataplane  ${describeLink(status.dataplane)}`);
    printDataplane(status);
    if (status.plugin === null) print(`listed     ${status.desired.sas} SAs of charon's`);
    else printEngine(status);
    printAudit(status);
  });
}
