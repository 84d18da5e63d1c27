import { CharonDaemon, type CharonOptions } from './charon-daemon.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import type { GuestSite, Lab, Site } from './lab.ts';
import { sadOf } from './reports.ts';
import type { Swanctl } from './swanctl.ts';
import { UmlGuest } from './uml-guest.ts';
import { parseXfrmState } from './xfrm-state.ts';

/** One end of a tunnel, whoever does its ESP. */
export type Peer = {
  readonly site: Site;
  readonly swanctl: Swanctl;
  charonLog(): Promise<string>;
  /** SPIs of the SAs its ESP implementation holds; undefined when it cannot be asked. */
  heldSpis(): Promise<HeldSpis | undefined>;
  /** Ends its charon (or all of the guest) as a crash would. */
  crash(): Promise<void>;
};

export type HeldSpis = { readonly inbound: readonly number[]; readonly outbound: readonly number[] };

export type PeerOptions = Pick<CharonOptions, 'logLevels' | 'extra'>;

/** A started gateway as an end of a tunnel. */
export function gatewayPeer(gateway: Gateway): Peer {
  return {
    site: gateway.site,
    get swanctl() {
      return gateway.charon.swanctl;
    },
    charonLog: () => gateway.charon.log(),
    heldSpis: () => heldByDataplane(gateway),
    crash: () => gateway.charon.process.kill(),
  };
}

export async function startGatewayPeer(lab: Lab, site: Site, options: GatewayOptions = {}): Promise<Peer> {
  return gatewayPeer(await Gateway.start(lab, site, options));
}

/** A stock charon that does ESP itself, always in UDP. */
export async function startLibipsecPeer(lab: Lab, site: Site, options: PeerOptions = {}): Promise<Peer> {
  const { namespace, dir } = site;
  const charon = lab.use(await CharonDaemon.start({ ...options, namespace, dir, backend: 'libipsec' }));
  return {
    site,
    swanctl: charon.swanctl,
    charonLog: () => charon.log(),
    heldSpis: async () => undefined,
    crash: () => charon.process.kill(),
  };
}

export type KernelPeer = Peer & { readonly guest: UmlGuest };

/** A stock charon on a Linux kernel of its own, which does the ESP. */
export async function startKernelPeer(
  lab: Lab,
  site: GuestSite,
  options: PeerOptions = {},
): Promise<KernelPeer> {
  const guest = lab.use(await UmlGuest.start(site));
  return {
    site,
    guest,
    swanctl: await guest.charon(options),
    charonLog: () => guest.charonLog(),
    heldSpis: async () => {
      const sas = parseXfrmState(await guest.xfrmState()).filter(({ encryptionKey }) => encryptionKey !== '');
      const spis = (isInbound: boolean): number[] =>
        sas.filter(({ destination }) => (destination === site.outer) === isInbound).map(({ spi }) => spi);
      return { inbound: spis(true), outbound: spis(false) };
    },
    crash: () => guest.process.kill(),
  };
}

async function heldByDataplane(gateway: Gateway): Promise<HeldSpis> {
  const { sas } = await sadOf(gateway);
  const spis = (direction: 'inbound' | 'outbound'): number[] =>
    sas.filter((sa) => sa.direction === direction).map(({ spi }) => Number.parseInt(spi, 16));
  return { inbound: spis('inbound'), outbound: spis('outbound') };
}
