import type { Settings, Swanctl } from '../support/index.ts';
import { type End, outerAddress, trafficSelector } from './addresses.ts';
import { ALGORITHMS } from './algorithm.ts';
import { type Row, rowName } from './row.ts';

const CONNECTIONS = ([4, 6] as const).flatMap((outer) =>
  (['plain', 'udp'] as const).map((encapsulation) => ({ outer, encapsulation })),
);

/** An IKE_SA lives through many rows: those with the same outer addresses and encapsulation. */
export function connectionName({ outer, encapsulation }: Pick<Row, 'outer' | 'encapsulation'>): string {
  return `ipv${outer}-${encapsulation}`;
}

const COMMON_CHILD: Settings = { rekey_time: 0, start_action: 'none', close_action: 'none' };

/** Loads a CHILD_SA for each row, to be initiated by its name. */
export async function loadRows(left: Swanctl, rows: readonly Row[]): Promise<void> {
  const childrenOf = (connection: string): Settings =>
    Object.fromEntries(
      rows
        .filter((row) => connectionName(row) === connection)
        .map((row) => [rowName(row), { ...COMMON_CHILD, ...initiatorChild(row) }]),
    );
  await left.load(settings('left', childrenOf));
}

function initiatorChild(row: Row): Settings {
  const { algorithm, esn, mode } = row;
  const proposal = `${algorithm.proposal}${esn ? '-esn' : ''}`;
  return {
    ...{ mode, local_ts: trafficSelector('left', row), remote_ts: trafficSelector('right', row) },
    ...(algorithm.protocol === 'esp' ? { esp_proposals: proposal } : { ah_proposals: proposal }),
  };
}

/** Loads an end that answers to any row: of an SA it is the initiator who has a choice. */
export async function loadResponder(right: Swanctl): Promise<void> {
  const proposals = (wanted: 'esp' | 'ah'): string =>
    ALGORITHMS.filter(({ protocol, proposal }) => protocol === wanted && isKnown(wanted, proposal))
      .map(({ proposal }) => `${proposal}-esn-noesn`)
      .join(',');
  const kinds = [
    { mode: 'tunnel', inner: 4 },
    { mode: 'tunnel', inner: 6 },
    { mode: 'transport', inner: 4 },
  ] as const;
  const children = Object.fromEntries(
    kinds.map((kind) => [
      kind.mode === 'tunnel' ? `tunnel-${kind.inner}` : 'transport',
      {
        ...COMMON_CHILD,
        ...{
          mode: kind.mode,
          local_ts: trafficSelector('right', kind),
          remote_ts: trafficSelector('left', kind),
        },
        ...{ esp_proposals: proposals('esp'), ah_proposals: proposals('ah') },
      },
    ]),
  );
  await right.load(settings('right', () => children));
}

/** charon has no keyword for AES-GMAC as AH's integrity algorithm. */
function isKnown(protocol: 'esp' | 'ah', proposal: string): boolean {
  return protocol === 'esp' || !proposal.endsWith('gmac');
}

function settings(own: End, childrenOf: (connection: string) => Settings): Settings {
  const other = own === 'left' ? 'right' : 'left';
  const connections = CONNECTIONS.map((connection): [string, Settings] => {
    const name = connectionName(connection);
    return [
      name,
      {
        ...{ version: 2, proposals: 'aes128-sha256-x25519', mobike: false },
        ...{ rekey_time: 0, reauth_time: 0, encap: connection.encapsulation === 'udp' },
        local_addrs: outerAddress(own, connection.outer),
        remote_addrs: outerAddress(other, connection.outer),
        local: { auth: 'psk', id: `${own}.${name}` },
        remote: { auth: 'psk', id: `${other}.${name}` },
        children: childrenOf(name),
      },
    ];
  });
  return {
    connections: Object.fromEntries(connections),
    secrets: { 'ike-test': { secret: 'a secret of the lab' } },
  };
}
