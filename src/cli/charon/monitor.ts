import { Command } from 'commander';
import { AgentError } from '../../util/index.ts';
import {
  formatRaw,
  type IkeSa,
  type ViciClient,
  type ViciEvent,
  type ViciGap,
  type ViciSubscription,
} from '../../vici/index.ts';
import { print } from '../options.ts';
import { jsonLine } from './output.ts';
import { type ViciCall, type ViciCommandOptions, withClient, withViciOptions } from './vici-options.ts';

const EVENTS = ['ike-updown', 'ike-rekey', 'ike-update', 'child-updown', 'child-rekey'];

type MonitorOptions = ViciCommandOptions & {
  readonly event?: readonly string[];
  readonly reconnect: boolean;
};

/** `ipsec-agent charon monitor`: what happens, until it is told to stop. */
export function monitorCommand(): Command {
  const command = new Command('monitor')
    .description('print events as they happen, until stopped')
    .option('--event <name...>', `which events (default: ${EVENTS.join(' ')}, and alert where charon has it)`)
    .option('--reconnect', 'wait for charon when it goes away, and print a gap', false);
  return withViciOptions(command).action((options: MonitorOptions) =>
    withClient(
      options,
      async (vici, call) => {
        try {
          await using events = await subscribe(vici, options, call);
          await printEvents(events, options.format);
        } catch (error) {
          // Stopped by a signal: what it was asked for.
          if (!call.signal.aborted) throw error;
        }
      },
      { reconnect: options.reconnect },
    ),
  );
}

async function subscribe(
  vici: ViciClient,
  { event }: MonitorOptions,
  call: ViciCall,
): Promise<ViciSubscription> {
  if (event !== undefined) return await vici.subscribe(event, call);
  try {
    return await vici.subscribe([...EVENTS, 'alert'], call);
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'unsupported') throw error;
    return await vici.subscribe(EVENTS, call);
  }
}

async function printEvents(events: ViciSubscription, format: ViciCommandOptions['format']): Promise<void> {
  if (format === 'raw') {
    for await (const item of events.messages()) {
      print('kind' in item ? describeEvent(item) : formatRaw(`${item.name} event`, item.message));
    }
    return;
  }
  for await (const event of events) print(format === 'human' ? describeEvent(event) : jsonLine(event));
}

function describeEvent(event: ViciEvent | ViciGap): string {
  switch (event.kind) {
    case 'ike-updown':
      return `ike ${direction(event.isUp)}: ${nameOf(event.ike)} ${peers(event.ike)}`;
    case 'child-updown': {
      const children = [...event.ike.children.values()].map(({ name, uniqueId, installed }) => {
        const spis = installed && ` in ${hex(installed.inbound.spi)} out ${hex(installed.outbound.spi)}`;
        return `${name}{${uniqueId}}${spis ?? ''}`;
      });
      return `child ${direction(event.isUp)}: ${children.join(', ')} of ${nameOf(event.ike)}`;
    }
    case 'ike-rekey':
      return `ike rekeyed: ${nameOf(event.old)} > ${nameOf(event.new)}`;
    case 'child-rekey':
      return `child rekeyed: ${event.old.name}{${event.old.uniqueId}} > {${event.new.uniqueId}} of ${nameOf(event.ike)}`;
    case 'ike-update':
      return `ike moves: ${nameOf(event.ike)} to ${event.local.host} > ${event.remote.host}`;
    case 'alert':
      return `alert: ${event.type}${event.ike === undefined ? '' : ` of ${nameOf(event.ike)}`}`;
    case 'log':
      return `[${event.log.group}] ${event.log.text}`;
    case 'gap':
      return event.reason === 'reconnected'
        ? 'gap: charon was away, events are lost'
        : `gap: ${event.lost} events are lost`;
    case 'other':
      return formatRaw(event.name, event.message);
  }
}

function direction(isUp: boolean): string {
  return isUp ? 'up' : 'down';
}

function nameOf({ name, uniqueId }: IkeSa): string {
  return `${name}[${uniqueId}]`;
}

function peers({ local, remote }: IkeSa): string {
  return `${local.host}[${local.id}] > ${remote.host}[${remote.id}]`;
}

function hex(spi: number): string {
  return spi.toString(16).padStart(8, '0');
}
