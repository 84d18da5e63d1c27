import Table from 'cli-table3';
import { Command } from 'commander';
import { askAgent } from '../agent/index.ts';
import { type AskOptions, print, printJson, withAskOptions } from './options.ts';

/** cli-table3 without frames: columns, as `ip` and `swanctl` print them. */
export function plainTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const blank = {
    ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
    ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
    ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: ' ' },
  };
  const table = new Table({
    head: [...head],
    chars: blank,
    style: { 'padding-left': 0, 'padding-right': 1, head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString().replace(/[ ]+$/gm, '');
}

/** `ipsec-agent sad`: what the dataplane holds. */
export function sadCommand(): Command {
  const command = new Command('sad').description("show the dataplane's SAs and policies");
  return withAskOptions(command, 10).action(async (options: AskOptions) => {
    const { sas, policies } = await askAgent(options.socket, 'sad', {
      signal: AbortSignal.timeout(options.timeout),
    });
    if (options.json) return printJson({ sas, policies });
    const saHead = [
      'DIR',
      'SPI',
      'OUTER',
      'ALGORITHM',
      'REQID',
      'AGE',
      'PACKETS',
      'BYTES',
      'DROPS',
      'CHILD_SA',
    ];
    print(
      plainTable(
        saHead,
        sas.map((sa) => [
          sa.direction === 'inbound' ? 'in' : 'out',
          sa.spi,
          `${sa.source} > ${sa.destination}${sa.encapsulation === 'udp' ? ' udp' : ''}`,
          sa.algorithm,
          String(sa.reqid),
          `${sa.ageSeconds}s`,
          sa.packets,
          sa.bytes,
          sa.drops,
          sa.childSa ?? '-',
        ]),
      ),
    );
    print('');
    print(
      plainTable(
        ['DIR', 'SOURCE', 'DESTINATION', 'ACTION', 'PRIORITY'],
        policies.map((policy) => [
          policy.direction === 'inbound' ? 'in' : 'out',
          policy.source,
          policy.destination,
          policy.action,
          String(policy.priority),
        ]),
      ),
    );
  });
}
