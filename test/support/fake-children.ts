import { randomBytes } from 'node:crypto';
import type { FeedPolicy, FeedSa, FeedTrafficSelector, Host } from '../../src/keyfeed/index.ts';
import { SecretBytes } from '../../src/util/index.ts';
import type { ViciArguments } from '../../src/vici/index.ts';

/** CHILD_SAs that share an IKE_SA, and so a peer. */
export const CHILDREN_PER_IKE_SA = 5;
/** Each has a host of 198.19.0.0/16 to itself, below the local network. */
export const MAX_CHILDREN = 200 * 256;

const LOCAL_HOST: Host = { address: '198.18.255.254', port: 500 };
const LOCAL_NET = selector('198.19.200.0', '198.19.200.255');
const NO_LIMIT = { seconds: undefined, bytes: undefined, packets: undefined };
/** charon's lifetimes for a rekey time of an hour. */
const SOFT = { ...NO_LIMIT, seconds: 3_600n };
const HARD = { ...NO_LIMIT, seconds: 3_960n };
/** AES-GCM-128: the key and its salt. */
const ENCR_AES_GCM_16 = 20;
const KEY_BYTES = 20;

/** One CHILD_SA of a fake charon, with everything its kernel backend was given for it. */
export type FakeChild = {
  /** Which tunnel: a rekeyed CHILD_SA has the same one. */
  readonly tunnel: number;
  readonly ikeId: number;
  readonly childId: number;
  readonly inbound: FeedSa;
  readonly outbound: FeedSa;
  readonly policies: readonly FeedPolicy[];
};

function selector(firstAddress: string, lastAddress = firstAddress): FeedTrafficSelector {
  return { firstAddress, lastAddress, protocol: 0, ports: { first: 0, last: 0xffff } };
}

function lowBytes(value: number): string {
  return `${value >>> 8}.${value & 0xff}`;
}

export function ikeIdOf(tunnel: number): number {
  return Math.floor(tunnel / CHILDREN_PER_IKE_SA) + 1;
}

export function peerOf(tunnel: number): Host {
  return { address: `198.18.${lowBytes(ikeIdOf(tunnel))}`, port: 500 };
}

export const localHost = LOCAL_HOST;

/** Made of the tunnel's number alone, but for ids and keys: so many of them are cheap. */
export function fakeChild(
  tunnel: number,
  ids: { readonly childId: number; readonly spiIn: number; readonly spiOut: number },
): FakeChild {
  const reqid = tunnel + 1;
  const peer = peerOf(tunnel);
  const remoteNet = selector(`198.19.${lowBytes(tunnel)}`);
  const sa = (direction: 'inbound' | 'outbound', spi: number): FeedSa => {
    const isInbound = direction === 'inbound';
    const [source, destination] = isInbound ? [peer, LOCAL_HOST] : [LOCAL_HOST, peer];
    const [from, to] = isInbound ? [remoteNet, LOCAL_NET] : [LOCAL_NET, remoteNet];
    return {
      id: { protocol: 'esp', spi, source, destination, direction, mark: undefined, ifId: undefined },
      reqid,
      mode: 'tunnel',
      encr: ENCR_AES_GCM_16,
      encrKey: new SecretBytes(randomBytes(KEY_BYTES)),
      integ: 0,
      integKey: undefined,
      softLifetime: SOFT,
      hardLifetime: HARD,
      replayWindow: isInbound ? 32 : 0,
      esn: false,
      encap: false,
      copyDf: true,
      copyEcn: true,
      copyDscp: 'out-only',
      tfc: 0,
      initiator: true,
      sourceSelectors: [from],
      destinationSelectors: [to],
      ipcomp: undefined,
      hwOffload: undefined,
      interface: undefined,
      label: undefined,
      setMark: undefined,
      cpu: undefined,
      ageMs: undefined,
    };
  };
  const policy = (direction: FeedPolicy['direction']): FeedPolicy => {
    const isOutbound = direction === 'outbound';
    return {
      direction,
      source: isOutbound ? LOCAL_NET : remoteNet,
      destination: isOutbound ? remoteNet : LOCAL_NET,
      mark: undefined,
      ifId: undefined,
      interface: undefined,
      label: undefined,
      type: 'ipsec',
      priorityClass: 'default',
      manualPriority: 0,
      outerSource: isOutbound ? LOCAL_HOST : peer,
      outerDestination: isOutbound ? peer : LOCAL_HOST,
      reqid,
      mode: 'tunnel',
      espSpi: isOutbound ? ids.spiOut : ids.spiIn,
      ahSpi: 0,
      ipcomp: undefined,
    };
  };
  return {
    tunnel,
    ikeId: ikeIdOf(tunnel),
    childId: ids.childId,
    inbound: sa('inbound', ids.spiIn),
    outbound: sa('outbound', ids.spiOut),
    policies: [policy('outbound'), policy('inbound'), policy('forward')],
  };
}

/** Its entry in a list-sas. */
export function listedChild(child: FakeChild, state: string): ViciArguments {
  return {
    name: `net${child.tunnel}`,
    uniqueid: child.childId,
    reqid: child.inbound.reqid,
    state,
    mode: 'TUNNEL',
    protocol: 'ESP',
    'spi-in': child.inbound.id.spi.toString(16).padStart(8, '0'),
    'spi-out': child.outbound.id.spi.toString(16).padStart(8, '0'),
    'encr-alg': 'AES_GCM_16',
    'encr-keysize': 128,
  };
}
