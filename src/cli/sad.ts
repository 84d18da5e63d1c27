import Table from 'cli-table3';
import { Command } from 'commander';
import { askAgent, type ScopeReport } from '../agent/index.ts';
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

/** "vrf blue, if_id 5, mark 0x2a/0xff"; "-" for no scope. */
function describeScope({ vrf, ifId, mark }: ScopeReport): string {
  const parts = [
    vrf === null ? undefined : `vrf ${vrf}`,
    ifId === null ? undefined : `if_id ${ifId}`,
    mark === null ? undefined : `mark ${mark}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? '-' : parts.join(', ');
}

/** A column for scopes, when there are any. */
function scopeColumn(entries: readonly ScopeReport[]): {
  readonly head: readonly string[];
  readonly cell: (entry: ScopeReport) => readonly string[];
} {
  const isUsed = entries.some((entry) => describeScope(entry) !== '-');
  return isUsed ? { head: ['SCOPE'], cell: (entry) => [describeScope(entry)] } : { head: [], cell: () => [] };
}

/** `ipsec-agent sad`: what the dataplane holds. */
export function sadCommand(): Command {
  const command = new Command('sad').description("show the dataplane's SAs and policies");
  return withAskOptions(command, 10).action(async (options: AskOptions) => {
    const { sas, policies } = await askAgent(options.socket, 'sad', {
      signal: AbortSignal.timeout(options.timeout),
    });
    if (options.json) return printJson({ sas, policies });
    const scope = scopeColumn([...sas, ...policies]);
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
      ...scope.head,
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
          ...scope.cell(sa),
          sa.childSa ?? '-',
        ]),
      ),
    );
    print('');
    print(
      plainTable(
        ['DIR', 'SOURCE', 'DESTINATION', ...scope.head, 'ACTION', 'PRIORITY'],
        policies.map((policy) => [
          policy.direction === 'inbound' ? 'in' : 'out',
          policy.source,
          policy.destination,
          ...scope.cell(policy),
          policy.action,
          String(policy.priority),
        ]),
      ),
    );
  });
}
