import { ViciClient } from '../../src/vici/index.ts';
import {
  CharonDaemon,
  type CommandHost,
  Gateway,
  type GuestSite,
  type Lab,
  type Site,
  type Swanctl,
  sadOf,
  UmlGuest,
} from '../support/index.ts';
import { addAddresses, addGuestAddresses, endpoints, outerAddress } from './addresses.ts';
import { serveCommand, serveEcho } from './echo.ts';
import type { PeerName } from './impossible.ts';
import { kernelSa } from './kernel-sa.ts';
import type { Row } from './row.ts';

/** The packets of one of its SAs, and what is odd about how it does the row. */
export type FarSa = { readonly packets: bigint; readonly faults: readonly string[] };

/** The other end of every row of a bench. */
export type FarEnd = {
  readonly peer: PeerName;
  readonly swanctl: Swanctl;
  readonly charonLog: () => Promise<string>;
  /** Where the row's inner host is. */
  readonly hostOf: (row: Row) => CommandHost;
  /** What its ESP or AH implementation says of an SA, `inbound` as it sees it. */
  readonly sa: (row: Row, direction: 'inbound' | 'outbound', spi: number) => Promise<FarSa>;
};

type Logging = { readonly logLevels: { readonly default: number } };
const QUIET: Logging = { logLevels: { default: 1 } };

/** A Linux kernel. */
export async function startKernelEnd(lab: Lab, site: GuestSite): Promise<FarEnd> {
  const guest = lab.use(await UmlGuest.start(site));
  await addGuestAddresses(site, guest);
  const swanctl = await guest.charon(QUIET);
  const { namespace, dir } = site;
  const [inner4 = '', inner6 = '', ...outer] = endpoints('right');
  lab.use(await serveEcho(namespace, dir, [inner4, inner6]));
  await guest.run(['sh', '-c', serveCommand(outer)]);
  return {
    peer: 'kernel',
    swanctl,
    charonLog: () => guest.charonLog(),
    hostOf: ({ mode }) => (mode === 'tunnel' ? namespace : guest),
    sa: async (row, direction, spi) => {
      const destination = outerAddress(direction === 'inbound' ? 'right' : 'left', row.outer);
      return kernelSa(await guest.xfrmState(), row, { spi, destination });
    },
  };
}

/** The product. */
export async function startLagopusEnd(lab: Lab, site: Site): Promise<FarEnd> {
  await addAddresses(site);
  const gateway = await Gateway.start(lab, site, QUIET);
  lab.use(await serveEcho(site.namespace, site.dir, endpoints('right')));
  return {
    ...{ peer: 'lagopus', swanctl: gateway.charon.swanctl, hostOf: () => site.namespace },
    charonLog: () => gateway.charon.log(),
    sa: async (_row, direction, spi) => {
      const { sas } = await sadOf(gateway);
      const sa = sas.find((held) => held.direction === direction && Number.parseInt(held.spi, 16) === spi);
      if (sa === undefined) return { packets: 0n, faults: ['the peer has no such SA'] };
      const faults = sa.drops === '0' ? [] : [`the peer dropped ${sa.drops} packets of the SA`];
      return { packets: BigInt(sa.packets), faults };
    },
  };
}

/** strongSwan's user-space ESP. */
export async function startLibipsecEnd(lab: Lab, site: Site): Promise<FarEnd> {
  await addAddresses(site);
  const { namespace, dir } = site;
  const charon = lab.use(await CharonDaemon.start({ ...QUIET, namespace, dir, backend: 'libipsec' }));
  lab.use(await serveEcho(namespace, dir, endpoints('right')));
  const vici = lab.use(new ViciClient({ uri: charon.viciUri }));
  return {
    ...{ peer: 'libipsec', swanctl: charon.swanctl, hostOf: () => namespace },
    charonLog: () => charon.log(),
    sa: async (_row, direction, spi) => {
      for await (const ike of vici.listSas()) {
        for (const { installed } of ike.children.values()) {
          const half = installed?.[direction];
          if (half?.spi === spi) return { packets: half.packets, faults: [] };
        }
      }
      return { packets: 0n, faults: ['the peer has no such SA'] };
    },
  };
}
