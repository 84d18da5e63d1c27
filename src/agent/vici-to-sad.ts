import {
  allAlgorithms,
  type Direction,
  type IpAddress,
  type IpsecMode,
  type ObservedSa,
  type ObservedSelector,
  type Spi,
  toReqId,
} from '../sad/index.ts';
import type { ChildSa, IkeSa, InstalledChildSa, ViciAlgorithm } from '../vici/index.ts';
import { parseViciSelector } from './vici-selector.ts';
import { toOptionalSpi } from './vici-tunnels.ts';

/** In these states both SAs are in use; in others one may be gone, or not there yet. */
const SETTLED_STATES: ReadonlySet<string> = new Set(['INSTALLED', 'REKEYING']);

const MODES: Readonly<Record<string, IpsecMode>> = {
  ...{ TUNNEL: 'tunnel', TRANSPORT: 'transport', BEET: 'beet' },
};

const { encryption, integrity } = allAlgorithms();
const IDS = {
  encryption: new Map(encryption.map(({ charonName, id }) => [charonName, id])),
  integrity: new Map(integrity.map(({ charonName, id }) => [charonName, id])),
};

function toTransform(
  algorithm: ViciAlgorithm | undefined,
  kind: keyof typeof IDS,
): number | 'none' | undefined {
  return algorithm === undefined ? 'none' : IDS[kind].get(algorithm.name);
}

/** Undefined when one of them is not understood: then none is compared. */
function toSelectors(texts: readonly string[]): readonly ObservedSelector[] | undefined {
  const selectors = texts.map(parseViciSelector).filter((selector) => selector !== undefined);
  return selectors.length === texts.length ? selectors : undefined;
}

/** The SAs of one IKE_SA, in both directions, as far as VICI tells. */
export function toObservedSas(ike: IkeSa): readonly ObservedSa[] {
  return [...ike.children.values()].flatMap((child) => {
    const { installed } = child;
    return installed === undefined ? [] : sasOf(ike, child, installed);
  });
}

function sasOf(ike: IkeSa, child: ChildSa, installed: InstalledChildSa): readonly ObservedSa[] {
  const [local, remote] = [toSelectors(child.localTs), toSelectors(child.remoteTs)];
  const common = {
    mode: MODES[child.mode ?? ''],
    reqid: toReqId(child.reqid),
    encryption: toTransform(installed.encryption, 'encryption'),
    integrity: toTransform(installed.integrity, 'integrity'),
    isUdpEncapsulated: installed.encap,
    esn: installed.esn,
    isSettled: SETTLED_STATES.has(child.state),
  };
  const id = (direction: Direction, spi: Spi, destination: IpAddress): ObservedSa['id'] => ({
    ...{ direction, spi, destination },
    protocol: installed.protocol === 'AH' ? 'ah' : 'esp',
  });
  const [spiIn, spiOut] = [installed.inbound.spi, installed.outbound.spi].map(toOptionalSpi);
  const sas: ObservedSa[] = [];
  if (spiIn !== undefined) {
    sas.push({
      ...common,
      id: id('inbound', spiIn, ike.local.host),
      source: ike.remote.host,
      sourceSelectors: remote,
      destinationSelectors: local,
    });
  }
  if (spiOut !== undefined) {
    sas.push({
      ...common,
      id: id('outbound', spiOut, ike.remote.host),
      source: ike.local.host,
      sourceSelectors: local,
      destinationSelectors: remote,
    });
  }
  return sas;
}
