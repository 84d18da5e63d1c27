import assert from 'node:assert/strict';
import { eventually } from './eventually.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import type { Lab, Router, Site } from './lab.ts';
import { type FlowOptions, type FlowReport, PacketFlow } from './packets.ts';
import {
  gatewayPeer,
  type KernelPeer,
  type Peer,
  type PeerOptions,
  startGatewayPeer,
  startKernelPeer,
  startLibipsecPeer,
} from './peer.ts';
import { mergeSettings } from './settings.ts';
import { CHILD_NAME, loadTunnel, type Tunnel, tunnelEnd } from './tunnel.ts';
import type { UmlGuest } from './uml-guest.ts';

/** Who the other gateway is: two of the product, the Linux kernel, or strongSwan's user-space ESP. */
export type PeerKind = 'lagopus' | 'kernel' | 'libipsec';

/** The product at one site, a peer at the other. */
export type Scene = {
  readonly lab: Lab;
  readonly gateway: Gateway;
  readonly ours: Peer;
  readonly peer: Peer;
  /** The peer's Linux kernel, when that is what the peer is. */
  readonly guest: UmlGuest | undefined;
  /** Between the two, when an end is behind a NAT. */
  readonly router?: Router | undefined;
};

export type SceneOptions = {
  readonly peer: PeerKind;
  /** Which end is behind a NAT; the other is at right. */
  readonly behindNat?: 'ours' | 'peer';
  readonly ours?: GatewayOptions;
  readonly peerOptions?: PeerOptions;
};

/** A replaced inbound SA goes after one second, so that a test need not wait five to see it gone. */
const BRIEF = { delete_rekeyed_delay: 1 };

export async function startScene(lab: Lab, options: SceneOptions): Promise<Scene> {
  const { peer: kind, behindNat, ours = {}, peerOptions = {} } = options;
  const own = { ...ours, extra: mergeSettings(BRIEF, ours.extra ?? {}) };
  const others = { ...peerOptions, extra: mergeSettings(BRIEF, peerOptions.extra ?? {}) };
  if (kind === 'kernel') {
    const { left, right } = await lab.pairWithGuest();
    return scene(lab, Gateway.start(lab, left, own), startKernelPeer(lab, right, others));
  }
  const { left, right, router } = await (behindNat === undefined ? unrouted(lab) : lab.routed({ nat: true }));
  const [site, peerSite] = behindNat === 'peer' ? [right, left] : [left, right];
  const start = kind === 'lagopus' ? startGatewayPeer : startLibipsecPeer;
  const started = await scene(lab, Gateway.start(lab, site, own), start(lab, peerSite, others));
  return { ...started, router };
}

async function unrouted(lab: Lab): Promise<{ left: Site; right: Site; router: undefined }> {
  return { ...(await lab.pair()), router: undefined };
}

async function scene(
  lab: Lab,
  starting: Promise<Gateway>,
  peerStarting: Promise<Peer | KernelPeer>,
): Promise<Scene> {
  const [gateway, peer] = await Promise.all([starting, peerStarting]);
  const guest = 'guest' in peer ? peer.guest : undefined;
  return { lab, gateway, ours: gatewayPeer(gateway), peer, guest };
}

export type SceneTunnel = Omit<Tunnel, 'left' | 'right'> & {
  readonly ours?: Partial<Tunnel['left']>;
  readonly peer?: Partial<Tunnel['left']>;
};

/** Loads a tunnel between the two inner networks on both ends. */
export async function loadSceneTunnel(scene: Scene, options: SceneTunnel = {}): Promise<void> {
  const { ours, peer, ...tunnel } = options;
  await loadTunnel(
    {
      ...tunnel,
      left: { ...tunnelEnd(scene.ours.site), ...ours },
      right: { ...tunnelEnd(scene.peer.site), ...peer },
    },
    scene.ours.swanctl,
    scene.peer.swanctl,
  );
}

/** Loads it, has one end initiate, and waits until both have it. */
export async function establish(
  scene: Scene,
  options: SceneTunnel & { readonly initiator?: 'ours' | 'peer' } = {},
): Promise<void> {
  const { initiator = 'ours', ...tunnel } = options;
  await loadSceneTunnel(scene, tunnel);
  await scene[initiator].swanctl.initiate(CHILD_NAME);
  await assertSameSas(scene.ours, scene.peer);
}

type SpiPairs = readonly string[];

/** CHILD_SAs as pairs of SPIs, seen from `self`; undefined while one is on its way in or out. */
async function spiPairs(self: Peer, isOther: boolean): Promise<SpiPairs | undefined> {
  const sas = await self.swanctl.childSas();
  if (sas.some(({ state }) => state !== 'INSTALLED' && state !== 'REKEYED')) return undefined;
  const pairs = sas.map(({ spiIn, spiOut }) => (isOther ? [spiOut, spiIn] : [spiIn, spiOut]).join(' '));
  return pairs.sort();
}

async function assertHoldsWhatCharonLists(self: Peer): Promise<void> {
  const held = await self.heldSpis();
  if (held === undefined) return;
  const sas = await self.swanctl.childSas();
  const sorted = (spis: readonly number[]): number[] => [...spis].sort((a, b) => a - b);
  const where = `what does ESP at ${self.site.name}`;
  assert.deepEqual(sorted(held.inbound), sorted(sas.map(({ spiIn }) => spiIn)), `${where}, inbound`);
  // A replaced CHILD_SA still tells its outbound SPI, whether charon has deleted that SA or not.
  const outbound = new Set(held.outbound);
  const sending = sas.filter(({ state, spiOut }) => state === 'INSTALLED' || outbound.has(spiOut));
  assert.deepEqual(sorted(held.outbound), sorted(sending.map(({ spiOut }) => spiOut)), `${where}, outbound`);
}

/**
 * Both charons, and what does ESP for each of them, list the same SAs; waits for what is under way.
 *
 * @throws AssertionError naming the difference that lasted.
 */
export async function assertSameSas(a: Peer, b: Peer, options: { count?: number } = {}): Promise<void> {
  let difference: unknown = new Error('a CHILD_SA stays in a passing state');
  const isSame = async (): Promise<boolean> => {
    try {
      const [own, others] = await Promise.all([spiPairs(a, false), spiPairs(b, true)]);
      if (own === undefined || others === undefined) return false;
      assert.deepEqual(own, others, `CHILD_SAs of ${a.site.name} and ${b.site.name}`);
      if (options.count !== undefined) assert.equal(own.length, options.count, 'CHILD_SAs');
      await Promise.all([assertHoldsWhatCharonLists(a), assertHoldsWhatCharonLists(b)]);
      return true;
    } catch (error) {
      difference = error;
      return false;
    }
  };
  await eventually('both ends list the same SAs', isSame, { timeoutMs: 15_000, intervalMs: 100 }).catch(
    () => {
      throw difference;
    },
  );
}

export type TrafficOptions = Pick<FlowOptions, 'packetsPerSecond' | 'sizeBytes'> & {
  readonly count?: number;
};

/** Numbered packets both ways at once. */
export class Traffic implements AsyncDisposable {
  readonly #there: PacketFlow;
  readonly #back: PacketFlow;

  private constructor(there: PacketFlow, back: PacketFlow) {
    this.#there = there;
    this.#back = back;
  }

  static async start({ lab, ours, peer }: Scene, options: TrafficOptions): Promise<Traffic> {
    const end = ({ namespace, inner }: Site) => ({ namespace, address: inner });
    const common = { ...options, dir: lab.dir };
    const there = await PacketFlow.start({ ...common, from: end(ours.site), to: end(peer.site) });
    try {
      return new Traffic(
        there,
        await PacketFlow.start({ ...common, from: end(peer.site), to: end(ours.site), stream: 2 }),
      );
    } catch (error) {
      await there[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits until more has arrived at both ends: the tunnel works now. */
  async flows(packets = 100): Promise<void> {
    await Promise.all(
      [this.#there, this.#back].map(async (flow) => {
        const { received } = await flow.received();
        await flow.waitReceived(received + packets);
      }),
    );
  }

  /** Ends it: towards the peer, and from it. */
  async finish(): Promise<readonly [FlowReport, FlowReport]> {
    return await Promise.all([this.#there.finish(), this.#back.finish()]);
  }

  /** Ends it and asserts that every packet arrived exactly once. */
  async assertComplete(): Promise<void> {
    for (const report of await this.finish()) {
      const { sent, lost, duplicates } = report;
      assert(sent > 0);
      assert.deepEqual({ lost, duplicates }, { lost: 0, duplicates: 0 }, JSON.stringify(report));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#there[Symbol.asyncDispose](), this.#back[Symbol.asyncDispose]()]);
  }
}

/** Sends so many packets each way; none may be lost or arrive twice. */
export async function assertCarriesPackets(scene: Scene, count = 500): Promise<void> {
  await using traffic = await Traffic.start(scene, { packetsPerSecond: 2_000, count });
  await traffic.assertComplete();
}
