import { setTimeout as sleep } from 'node:timers/promises';
import { type ViciArguments, ViciClient, type ViciEvent } from '../../src/vici/index.ts';
import type { Lab } from '../../test/support/index.ts';
import { Expectation } from './expectation.ts';
import type { MeasuredGateway, StartGateway } from './gateway.ts';
import { startPair } from './pair.ts';
import { addInnerAddresses, type ChildRank, childName, ikeName, loadTunnels } from './tunnels.ts';

const TIMEOUT_MS = 10_000;
/** After everything is down, for deletions that are still on their way to a dataplane. */
const SETTLE_MS = 100;

/** What came of initiating many CHILD_SAs at once. */
export type Setups = {
  readonly up: number;
  readonly failed: number;
  /** From the first one initiated until the last one up. */
  readonly elapsedMs: number;
};

/** Many tunnels between two gateways, brought up and down over the initiator's VICI. */
export class SetupLoad implements AsyncDisposable {
  readonly initiator: MeasuredGateway;
  readonly #vici: ViciClient;
  readonly #tunnels: readonly number[];
  #expected: Expectation | undefined;
  #watching: Promise<void> = Promise.resolve();

  private constructor(initiator: MeasuredGateway, count: number) {
    this.initiator = initiator;
    this.#vici = new ViciClient({ uri: initiator.charon.viciUri });
    this.#tunnels = Array.from({ length: count }, (_, position) => position + 1);
  }

  /** Starts both gateways in the lab, the left one being the initiator, and configures `count` tunnels. */
  static async start(
    lab: Lab,
    gateways: { readonly initiator: StartGateway; readonly responder: StartGateway },
    count: number,
  ): Promise<SetupLoad> {
    const pair = await startPair(lab, gateways.initiator, gateways.responder, (site) =>
      addInnerAddresses(site, count),
    );
    await loadTunnels(pair, count);
    const load = new SetupLoad(pair.left, count);
    const events = await load.#vici.subscribe(['child-updown', 'ike-updown']);
    load.#watching = load.#watch(events);
    return load;
  }

  /** Initiates one CHILD_SA in each tunnel without waiting for any, then waits for all. */
  async setUpAll(rank: ChildRank): Promise<Setups> {
    const expected = this.#expect(this.#tunnels.map((index) => childName(index, rank)));
    await Promise.all(this.#tunnels.map((index) => this.#initiate(index, rank)));
    const { elapsedMs, missing } = await expected.settled;
    return { up: this.#tunnels.length - missing.length, failed: missing.length, elapsedMs };
  }

  /**
   * One by one, the next when the one before is up.
   *
   * @throws Error when one does not come up
   */
  async setUpInTurn(rank: ChildRank): Promise<void> {
    for (const index of this.#tunnels) {
      const expected = this.#expect([childName(index, rank)]);
      await this.#initiate(index, rank);
      const { missing } = await expected.settled;
      if (missing.length > 0) throw new Error(`the CHILD_SA ${missing[0]} did not come up`);
    }
  }

  /** @throws Error when an IKE_SA stays up */
  async tearDownAll(): Promise<void> {
    const expected = this.#expect(this.#tunnels.map(ikeName));
    await Promise.all(this.#tunnels.map((index) => this.#command('terminate', { ike: ikeName(index) })));
    const { missing } = await expected.settled;
    if (missing.length > 0) throw new Error(`${missing.length} IKE_SAs did not go down`);
    await sleep(SETTLE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#vici[Symbol.asyncDispose]();
    await this.#watching;
  }

  #initiate(index: number, rank: ChildRank): Promise<void> {
    return this.#command('initiate', { ike: ikeName(index), child: childName(index, rank) });
  }

  /** Only starts it. `request`, because all of them go over one connection: charon's backlog is 3. */
  async #command(command: 'initiate' | 'terminate', args: ViciArguments): Promise<void> {
    const reply = await this.#vici.request(command, { ...args, timeout: -1 });
    if (reply.text('success') !== 'yes') throw new Error(`${command}: ${reply.text('errmsg')}`);
  }

  #expect(names: readonly string[]): Expectation {
    this.#expected = new Expectation(names, TIMEOUT_MS);
    return this.#expected;
  }

  async #watch(events: AsyncIterable<ViciEvent | { readonly kind: 'gap' }>): Promise<void> {
    try {
      for await (const event of events) {
        const name = nameOf(event);
        if (name !== undefined) this.#expected?.tick(name);
      }
    } catch (error) {
      this.#expected?.fail(error);
    }
  }
}

/** Of the CHILD_SA that came up, or the IKE_SA that went down. */
function nameOf(event: ViciEvent | { readonly kind: 'gap' }): string | undefined {
  if (event.kind === 'child-updown' && event.isUp) return event.ike.children.values().next().value?.name;
  if (event.kind === 'ike-updown' && !event.isUp) return event.ike.name;
  return undefined;
}
