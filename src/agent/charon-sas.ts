import { type Direction, formatSpi, type IpsecProtocol, type Spi } from '../sad/index.ts';
import type { CallOptions } from '../sync/index.ts';
import type { ChildSa, IkeSa, ViciClient } from '../vici/index.ts';
import type { CharonSaEntry } from './reports.ts';
import { toOptionalSpi } from './vici-tunnels.ts';

/** One direction of a CHILD_SA as charon lists it now. */
export type CharonSa = {
  readonly direction: Direction;
  readonly protocol: IpsecProtocol;
  readonly spi: Spi;
  readonly destination: string;
  readonly entry: CharonSaEntry;
};

type Lister = Pick<ViciClient, 'listSaSummaries' | 'listSas'>;

/** Every SA with this SPI that charon lists, and every SPI it lists. IKE_SAs that are busy are left out. */
export async function findCharonSas(
  client: Lister,
  spi: Spi,
  { signal }: CallOptions = {},
): Promise<{ readonly sas: readonly CharonSa[]; readonly spis: readonly Spi[] }> {
  const spis: Spi[] = [];
  const wanted: { ikeId: number; childId: number }[] = [];
  for await (const ike of client.listSaSummaries({ noblock: true, signal })) {
    for (const { spiIn, spiOut, uniqueId } of ike.children) {
      spis.push(...[spiIn, spiOut].map(toOptionalSpi).filter((listed) => listed !== undefined));
      if (spiIn === spi || spiOut === spi) wanted.push({ ikeId: ike.uniqueId, childId: uniqueId });
    }
  }
  const sas: CharonSa[] = [];
  for (const filter of wanted) {
    for await (const ike of client.listSas({ ...filter, noblock: true, signal })) {
      for (const child of ike.children.values()) sas.push(...saOf(ike, child, spi));
    }
  }
  return { sas, spis };
}

/** One of the two directions, or both: charon and its peer choose their SPIs each for themselves. */
function saOf(ike: IkeSa, child: ChildSa, spi: Spi): readonly CharonSa[] {
  const { installed } = child;
  if (installed === undefined) return [];
  const protocol = installed.protocol === 'AH' ? 'ah' : 'esp';
  const entry = toEntry(ike, child);
  const sas: CharonSa[] = [];
  if (installed.inbound.spi === spi) {
    sas.push({ direction: 'inbound', protocol, spi, destination: ike.local.host, entry });
  }
  if (installed.outbound.spi === spi) {
    sas.push({ direction: 'outbound', protocol, spi, destination: ike.remote.host, entry });
  }
  return sas;
}

function toEntry(ike: IkeSa, { name, uniqueId, state, installed }: ChildSa): CharonSaEntry {
  const algorithms = [installed?.encryption, installed?.integrity]
    .filter((algorithm) => algorithm !== undefined)
    .map((algorithm) =>
      algorithm.keyBits === undefined ? algorithm.name : `${algorithm.name}-${algorithm.keyBits}`,
    );
  return {
    childSa: `${name}{${uniqueId}}`,
    ikeSa: `${ike.name}[${ike.uniqueId}]`,
    state,
    algorithm: algorithms.join('/'),
    installedSecondsAgo: installed?.installedSecondsAgo ?? null,
    rekeyInSeconds: installed?.rekeyInSeconds ?? null,
    lifeInSeconds: installed?.lifeInSeconds ?? null,
  };
}

/** Names it as `saKey` does an SA without mark and if_id. */
export function charonSaName({ direction, protocol, spi, destination }: CharonSa): string {
  return `${direction} ${protocol} ${formatSpi(spi)} ${destination}`;
}
