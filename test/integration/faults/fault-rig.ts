import assert from 'node:assert/strict';
import {
  diffOf,
  eventually,
  type Gateway,
  type GatewayOptions,
  type GatewayPair,
  type Lab,
  mergeSettings,
  PacketFlow,
  type Settings,
  startGatewayPair,
} from '../../support/index.ts';
import { compareSads } from './compare-sads.ts';
import { Flows } from './flows.ts';
import { addInnerHosts, type GridOptions, gridSettings, innerHost } from './many-tunnels.ts';

const FLOWS = 10;
const PACKETS_PER_SECOND_EACH = 100;

/** What a charon needs for hundreds of CHILD_SAs to be negotiated and replaced at once. */
const MANY: Settings = {
  half_open_timeout: 30,
  // A fault of some seconds is no reason to give a peer up.
  retransmit_tries: 6,
  retransmit_timeout: 1,
  retransmit_base: 1.4,
  // Charon's own default, in the place of the lab's: a replaced inbound SA outlives an agent's absence.
  delete_rekeyed_delay: 5,
  filelog: { tests: { ike_name: true } },
};

export type FaultRigOptions = GridOptions & { readonly gateway?: GatewayOptions };

/** Two gateways of the product with many CHILD_SAs between them, and packets through some. */
export class FaultRig {
  readonly pair: GatewayPair;
  readonly count: number;
  readonly #options: FaultRigOptions;

  private constructor(pair: GatewayPair, options: FaultRigOptions) {
    this.pair = pair;
    this.#options = options;
    this.count = options.grid.ikeSas * options.grid.childrenEach;
  }

  /** Starts everything and brings all tunnels up. */
  static async start(lab: Lab, options: FaultRigOptions): Promise<FaultRig> {
    const { gateway = {} } = options;
    const pair = await startGatewayPair(lab, {
      logLevel: 'info',
      ...gateway,
      extra: mergeSettings(MANY, gateway.extra ?? {}),
    });
    const rig = new FaultRig(pair, options);
    for (const { site, other } of [
      { site: pair.ours.site, other: pair.peer.site },
      { site: pair.peer.site, other: pair.ours.site },
    ]) {
      await addInnerHosts(site, rig.flowChildren);
      // Where a packet would leave in clear if nothing held it back.
      await site.namespace.ip('route', 'add', '198.19.0.0/16', 'via', other.outer);
    }
    await rig.load(pair.other);
    await rig.load(pair.gateway);
    return rig;
  }

  /** The CHILD_SAs that carry packets: as far from each other as possible. */
  get flowChildren(): readonly number[] {
    return Array.from({ length: FLOWS }, (_, flow) => Math.floor((flow * this.count) / FLOWS));
  }

  get viciUris(): readonly string[] {
    return [this.pair.gateway.charon.viciUri, this.pair.other.charon.viciUri];
  }

  /** Loads a gateway's tunnels; ours are brought up by that. */
  async load({ site, charon }: Gateway): Promise<void> {
    const sites = { left: this.pair.ours.site, right: this.pair.peer.site };
    await charon.swanctl.load(gridSettings(sites, site.name, this.#options));
  }

  /**
   * Waits until both ends have every CHILD_SA once and each dataplane holds just these; since when, by
   * performance.now().
   */
  async converged(timeoutMs = 80_000): Promise<number> {
    let difference: unknown;
    const isConverged = async (): Promise<number | undefined> => {
      const askedMs = performance.now();
      try {
        await this.#assertConverged();
        return askedMs;
      } catch (error) {
        difference = error;
        return undefined;
      }
    };
    return await eventually('converged', isConverged, { timeoutMs, intervalMs: 100 }).catch(() => {
      throw difference;
    });
  }

  async #assertConverged(): Promise<void> {
    const { ours, peer, gateway, other } = this.pair;
    const [own, theirs] = await Promise.all([ours.swanctl.childSas(), peer.swanctl.childSas()]);
    const states = (sas: typeof own): string =>
      JSON.stringify(
        Object.entries(Object.groupBy(sas, ({ state }) => state)).map(([k, v]) => [k, v?.length]),
      );
    const all = JSON.stringify([['INSTALLED', this.count]]);
    assert.deepEqual([states(own), states(theirs)], [all, all], 'CHILD_SAs by state');
    assert.equal(new Set(own.map(({ name }) => name)).size, this.count, 'one of each');
    const pairs = own.map(({ spiIn, spiOut }) => `${spiIn} ${spiOut}`).sort();
    assert.deepEqual(theirs.map(({ spiIn, spiOut }) => `${spiOut} ${spiIn}`).sort(), pairs);
    for (const end of [gateway, other]) await assertEndConverged(end, this.count);
  }

  /** Packets one way through each of some CHILD_SAs, every other one back. */
  async startFlows(): Promise<Flows> {
    const { lab, ours, peer } = this.pair;
    const flows = await Promise.all(
      this.flowChildren.map((child, index) => {
        const end = ({ site }: typeof ours) => ({
          namespace: site.namespace,
          address: innerHost(child, site.name),
        });
        const [from, to] = index % 2 === 0 ? [end(ours), end(peer)] : [end(peer), end(ours)];
        return PacketFlow.start({
          ...{ from, to, dir: lab.dir, stream: index + 1 },
          packetsPerSecond: PACKETS_PER_SECOND_EACH,
        });
      }),
    );
    return new Flows(flows);
  }
}

/** The dataplane holds what charon lists, says a program that shares nothing with the agent; so does the agent. */
async function assertEndConverged(gateway: Gateway, count: number): Promise<void> {
  const expected = { children: count, passing: 0, held: 2 * count, missing: [], unexpected: [] };
  assert.deepEqual(await compareSads(gateway), expected, `compare-sads at ${gateway.site.name}`);
  assert.deepEqual(await diffOf(gateway), { isInSync: true, entries: [] }, `diff at ${gateway.site.name}`);
}
