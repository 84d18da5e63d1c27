import { setTimeout } from 'node:timers/promises';
import { type PacketEnd, PacketFlow } from '../support/index.ts';
import { HOST, PEER } from './configuration.ts';
import type { RouterNetwork } from './network.ts';
import type { BothWays, FlowCounts } from './verdict.ts';

export const PACKETS_PER_SECOND = 50;
const POLL_MS = 50;

/** Numbered packets between the host behind the router and the peer's inner address. */
export class Traffic implements AsyncDisposable {
  readonly #flows: readonly [PacketFlow, PacketFlow];

  private constructor(flows: readonly [PacketFlow, PacketFlow]) {
    this.#flows = flows;
  }

  static async start(network: RouterNetwork, count?: number): Promise<Traffic> {
    const [host, peer] = endsOf(network);
    const out = await startFlow(network, host, peer, 1, count);
    try {
      return new Traffic([out, await startFlow(network, peer, host, 2, count)]);
    } catch (error) {
      await out[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** When packets that were not there at the call have arrived, both ways. */
  async nextArrivals(timeoutMs: number): Promise<void> {
    const counts = (): Promise<readonly number[]> =>
      Promise.all(this.#flows.map(async (flow) => (await flow.received()).received));
    const before = await counts();
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const now = await counts();
      if (now.every((count, index) => count > (before[index] ?? 0))) return;
      if (performance.now() > deadline) {
        const ways = now.map((count, index) => count - (before[index] ?? 0));
        throw new Error(
          `no packets both ways within ${timeoutMs / 1_000} s (out ${ways[0]}, back ${ways[1]})`,
        );
      }
      await setTimeout(POLL_MS);
    }
  }

  async finish(): Promise<BothWays> {
    const [out, back] = this.#flows;
    const [outReport, backReport] = await Promise.all([out.finish(), back.finish()]);
    return { out: outReport, back: backReport };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#flows.map((flow) => flow[Symbol.asyncDispose]()));
  }
}

/** Packets from the host that should get nowhere. */
export async function sendOut(network: RouterNetwork, count: number): Promise<FlowCounts> {
  const [host, peer] = endsOf(network);
  await using flow = await startFlow(network, host, peer, 3, count);
  return await flow.finish();
}

function endsOf({ host, peer }: RouterNetwork): readonly [PacketEnd, PacketEnd] {
  return [
    { namespace: host, address: HOST },
    { namespace: peer.namespace, address: PEER.inner },
  ];
}

function startFlow(
  { peer }: RouterNetwork,
  from: PacketEnd,
  to: PacketEnd,
  stream: number,
  count: number | undefined,
): Promise<PacketFlow> {
  const rate = { packetsPerSecond: PACKETS_PER_SECOND, ...(count === undefined ? {} : { count }) };
  return PacketFlow.start({ from, to, dir: peer.dir, stream, ...rate });
}
