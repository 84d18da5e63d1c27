import { Command } from 'commander';
import { formatRaw, type SaFilter, type ViciArguments, type ViciClient } from '../../vici/index.ts';
import { print } from '../options.ts';
import { jsonDocument, jsonLine, printItems, printRawStream, type TableOf } from './output.ts';
import { connectionTable, policyTable, saTable } from './tables.ts';
import {
  type ViciCall,
  type ViciCommandOptions,
  withClient,
  withSaFilter,
  withViciOptions,
} from './vici-options.ts';

/** A command of charon that streams. */
type Listing<T> = {
  readonly command: string;
  readonly event: string;
  readonly args: ViciArguments;
  readonly items: (vici: ViciClient, call: ViciCall) => AsyncIterable<T>;
  readonly table: TableOf<T>;
};

/** A command of charon that answers with one message. */
type Question<T> = {
  readonly command: string;
  readonly parse: (vici: ViciClient, call: ViciCall) => Promise<T>;
  readonly human: (answer: T) => readonly string[];
};

export function listCommands(): readonly Command[] {
  return [versionCommand(), statsCommand(), listSasCommand(), listConnsCommand(), listPolsCommand()];
}

function versionCommand(): Command {
  return withViciOptions(new Command('version').description("show charon's version")).action(
    (options: ViciCommandOptions) =>
      ask(options, {
        command: 'version',
        parse: (vici, call) => vici.version(call),
        human: ({ daemon, version, sysname, release, machine }) => [
          `strongSwan ${version} ${daemon} (${sysname}, ${release}, ${machine})`,
        ],
      }),
  );
}

function statsCommand(): Command {
  return withViciOptions(new Command('stats').description("show charon's load")).action(
    (options: ViciCommandOptions) =>
      ask(options, {
        command: 'stats',
        parse: (vici, call) => vici.stats(call),
        human: ({ running, runningSince, ikeSas, workers, queues, scheduled, plugins }) => [
          `uptime     ${running}, since ${runningSince}`,
          `IKE_SAs    ${ikeSas.total}, of them ${ikeSas.halfOpen} half-open`,
          `workers    ${workers.total}, of them ${workers.idle} idle`,
          `queues     ${queues.critical} critical, ${queues.high} high, ${queues.medium} medium, ${queues.low} low`,
          `scheduled  ${scheduled}`,
          `plugins    ${plugins.join(' ')}`,
        ],
      }),
  );
}

function listSasCommand(): Command {
  const command = new Command('list-sas')
    .description('list IKE_SAs and their CHILD_SAs')
    .option('--noblock', 'leave out IKE_SAs that charon works on', false);
  return withSaFilter(withViciOptions(command)).action(
    (options: ViciCommandOptions & SaFilter & { readonly noblock: boolean }) => {
      const { ike, child, ikeId, childId, noblock } = options;
      const filter = { ike, child, ikeId, childId, noblock };
      return list(options, {
        command: 'list-sas',
        event: 'list-sa',
        args: { ike, child, 'ike-id': ikeId, 'child-id': childId, noblock: noblock ? true : undefined },
        items: (vici, call) => vici.listSas({ ...filter, ...call }),
        table: saTable,
      });
    },
  );
}

function listConnsCommand(): Command {
  const command = new Command('list-conns')
    .description('list loaded connections')
    .option('--ike <name>', 'the connection of this name');
  return withViciOptions(command).action((options: ViciCommandOptions & { readonly ike?: string }) =>
    list(options, {
      command: 'list-conns',
      event: 'list-conn',
      args: { ike: options.ike },
      items: (vici, call) => vici.listConns({ ike: options.ike, ...call }),
      table: connectionTable,
    }),
  );
}

type PolicyOptions = ViciCommandOptions & {
  readonly trap?: true;
  readonly drop?: true;
  readonly pass?: true;
  readonly ike?: string;
  readonly child?: string;
};

function listPolsCommand(): Command {
  const command = new Command('list-pols')
    .description('list installed trap, drop and bypass policies; all kinds unless one is named')
    .option('--trap', 'traps')
    .option('--drop', 'drops')
    .option('--pass', 'bypasses')
    .option('--ike <name>', 'of this connection')
    .option('--child <name>', 'of this CHILD_SA');
  return withViciOptions(command).action((options: PolicyOptions) => {
    const { trap, drop, pass, ike, child } = options;
    const isEvery = trap === undefined && drop === undefined && pass === undefined;
    const every = isEvery ? true : undefined;
    return list(options, {
      command: 'list-policies',
      event: 'list-policy',
      args: { trap: trap ?? every, drop: drop ?? every, pass: pass ?? every, ike, child },
      items: (vici, call) => vici.listPolicies({ trap, drop, pass, ike, child, ...call }),
      table: policyTable,
    });
  });
}

function list<T>(options: ViciCommandOptions, listing: Listing<T>): Promise<void> {
  const { format } = options;
  return withClient(options, async (vici, call) => {
    const { command, event, args, items, table } = listing;
    if (format === 'raw') await printRawStream(vici.stream(command, event, args, call), listing);
    else await printItems(items(vici, call), format, table);
  });
}

function ask<T>(options: ViciCommandOptions, { command, parse, human }: Question<T>): Promise<void> {
  return withClient(options, async (vici, call) => {
    if (options.format === 'raw') {
      return print(formatRaw(`${command} reply`, await vici.request(command, {}, call)));
    }
    const answer = await parse(vici, call);
    if (options.format === 'human') print(human(answer).join('\n'));
    else print(options.format === 'json' ? jsonDocument(answer) : jsonLine(answer));
  });
}
