import {
  CHILD_NAME,
  type Lab,
  loadTunnel,
  type Site,
  type Tunnel,
  tunnelEnd,
} from '../../test/support/index.ts';
import type { MeasuredGateway, StartGateway } from './gateway.ts';

/** Two gateways on one wire. */
export type Pair = { readonly left: MeasuredGateway; readonly right: MeasuredGateway };

/** `prepare` runs for each site before anything is started there. */
export async function startPair(
  lab: Lab,
  startLeft: StartGateway,
  startRight: StartGateway,
  prepare?: (site: Site) => Promise<void>,
): Promise<Pair> {
  const sites = await lab.pair();
  await prepare?.(sites.left);
  await prepare?.(sites.right);
  const [left, right] = await Promise.all([startLeft(lab, sites.left), startRight(lab, sites.right)]);
  return { left, right };
}

/** Brings one tunnel up between them, in UDP because kernel-libipsec does no other. */
export async function connect({ left, right }: Pair, esp = 'aes128gcm16'): Promise<void> {
  const tunnel: Tunnel = {
    left: tunnelEnd(left.site),
    right: tunnelEnd(right.site),
    esp,
    isEncapsulated: true,
  };
  await loadTunnel(tunnel, left.charon.swanctl, right.charon.swanctl);
  await left.charon.swanctl.initiate(CHILD_NAME);
}
