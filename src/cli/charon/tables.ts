import type { ChildSa, IkeSa, InstalledPolicy, LoadedConnection, ViciAlgorithm } from '../../vici/index.ts';
import type { TableOf } from './output.ts';

const NONE = '-';

/** A line per CHILD_SA, and one per IKE_SA without any. */
export const saTable: TableOf<IkeSa> = {
  head: [
    ...['IKE_SA', 'STATE', 'LOCAL', 'REMOTE', 'AGE'],
    ...['CHILD_SA', 'STATE', 'SPI IN', 'SPI OUT', 'ALGORITHM', 'BYTES IN', 'BYTES OUT', 'SELECTORS'],
  ],
  rows: (ike) => {
    const own = [
      `${ike.name}[${ike.uniqueId}]`,
      ike.state,
      `${ike.local.host}[${ike.local.id}]`,
      `${ike.remote.host}[${ike.remote.id}]`,
      seconds(ike.establishedSecondsAgo),
    ];
    const children = [...ike.children.values()].map(childCells);
    return children.length === 0 ? [own] : children.map((cells) => [...own, ...cells]);
  },
};

export const connectionTable: TableOf<LoadedConnection> = {
  head: ['CONNECTION', 'IKE', 'LOCAL', 'REMOTE', 'CHILD', 'MODE', 'LOCAL TS', 'REMOTE TS'],
  rows: ({ name, version, localAddresses, remoteAddresses, children }) => {
    const own = [name, version ?? NONE, localAddresses.join(' '), remoteAddresses.join(' ')];
    if (children.length === 0) return [own];
    return children.map((child) => [
      ...own,
      child.name,
      child.mode ?? NONE,
      child.localTs.join(' '),
      child.remoteTs.join(' '),
    ]);
  },
};

export const policyTable: TableOf<InstalledPolicy> = {
  head: ['POLICY', 'CONNECTION', 'MODE', 'LOCAL TS', 'REMOTE TS'],
  rows: ({ child, ike, mode, localTs, remoteTs }) => [
    [child, ike ?? NONE, mode, localTs.join(' '), remoteTs.join(' ')],
  ],
};

function childCells({ name, uniqueId, state, localTs, remoteTs, installed }: ChildSa): readonly string[] {
  return [
    `${name}{${uniqueId}}`,
    state,
    installed ? hex(installed.inbound.spi) : NONE,
    installed ? hex(installed.outbound.spi) : NONE,
    installed ? algorithms(installed.encryption, installed.integrity) : NONE,
    String(installed?.inbound.bytes ?? NONE),
    String(installed?.outbound.bytes ?? NONE),
    `${localTs.join(' ')} > ${remoteTs.join(' ')}`,
  ];
}

function algorithms(...used: readonly (ViciAlgorithm | undefined)[]): string {
  const names = used
    .filter((algorithm) => algorithm !== undefined)
    .map(({ name, keyBits }) => (keyBits === undefined ? name : `${name}-${keyBits}`));
  return names.join('/') || NONE;
}

function hex(spi: number): string {
  return spi.toString(16).padStart(8, '0');
}

function seconds(ago: number | undefined): string {
  return ago === undefined ? NONE : `${ago}s`;
}
