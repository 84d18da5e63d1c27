import { credentials } from '@grpc/grpc-js';
import { type GetCapabilitiesResponse, IpsecServiceClient } from '../../src/proto/index.ts';
import { ViciClient } from '../../src/vici/index.ts';
import { Gateway, type Lab, type Site } from '../support/index.ts';
import { addAddresses, endpoints } from './addresses.ts';
import { loadResponder, loadRows } from './connections.ts';
import { serveEcho } from './echo.ts';
import { type FarEnd, startKernelEnd, startLagopusEnd, startLibipsecEnd } from './far-end.ts';
import type { PeerName } from './impossible.ts';
import type { Row } from './row.ts';
import { Wire } from './wire.ts';

/** The product and one peer, which live through many rows. */
export type Bench = {
  readonly gateway: Gateway;
  readonly vici: ViciClient;
  readonly far: FarEnd;
  /** Our end's outer interface. */
  readonly wire: Wire;
  /** What our dataplane says it can do. */
  readonly capabilities: GetCapabilitiesResponse;
};

/** Starts everything and loads the rows' configurations. It goes with the lab. */
export async function startBench(lab: Lab, peer: PeerName, rows: readonly Row[]): Promise<Bench> {
  const { left, startFar } = await sites(lab, peer);
  await addAddresses(left);
  const [gateway, far] = await Promise.all([
    Gateway.start(lab, left, { logLevels: { default: 1 }, logLevel: 'info' }),
    startFar(),
  ]);
  lab.use(await serveEcho(left.namespace, left.dir, endpoints('left')));
  const wire = lab.use(await Wire.start(left));
  await Promise.all([loadRows(gateway.charon.swanctl, rows), loadResponder(far.swanctl)]);
  const vici = lab.use(new ViciClient({ uri: gateway.charon.viciUri }));
  return { gateway, vici, far, wire, capabilities: await capabilitiesOf(gateway) };
}

type Sites = { readonly left: Site; readonly startFar: () => Promise<FarEnd> };

async function sites(lab: Lab, peer: PeerName): Promise<Sites> {
  if (peer === 'kernel') {
    const { left, right } = await lab.pairWithGuest();
    return { left, startFar: () => startKernelEnd(lab, right) };
  }
  const { left, right } = await lab.pair();
  const start = peer === 'libipsec' ? startLibipsecEnd : startLagopusEnd;
  return { left, startFar: () => start(lab, right) };
}

function capabilitiesOf({ dataplane }: Gateway): Promise<GetCapabilitiesResponse> {
  const client = new IpsecServiceClient(dataplane.target, credentials.createInsecure());
  return new Promise<GetCapabilitiesResponse>((resolve, reject) => {
    client.getCapabilities({}, (error, response) => (error === null ? resolve(response) : reject(error)));
  }).finally(() => client.close());
}
