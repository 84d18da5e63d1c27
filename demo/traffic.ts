import { setTimeout as sleep } from 'node:timers/promises';
import { type FlowReport, type PacketEnd, PacketFlow, type Site } from '../test/support/index.ts';

/** Each way. */
const PACKETS_PER_SECOND = 1_000;

/** Numbered packets between the hosts behind two gateways, both ways at once, without a pause. */
export class Traffic implements AsyncDisposable {
  readonly #there: PacketFlow;
  readonly #back: PacketFlow;

  private constructor(there: PacketFlow, back: PacketFlow) {
    this.#there = there;
    this.#back = back;
  }

  static async start(left: Site, right: Site, dir: string): Promise<Traffic> {
    const common = { dir, packetsPerSecond: PACKETS_PER_SECOND };
    const there = await PacketFlow.start({ ...common, from: hostOf(left), to: hostOf(right) });
    try {
      return new Traffic(there, await PacketFlow.start({ ...common, from: hostOf(right), to: hostOf(left) }));
    } catch (error) {
      await there[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Lets it flow for a while, then says what has arrived so far. */
  async watch(seconds: number): Promise<string> {
    await sleep(seconds * 1_000);
    const [there, back] = await Promise.all([this.#there.received(), this.#back.received()]);
    const missing = there.missing + back.missing;
    return `${there.received} packets arrived at right, ${back.received} at left, ${missing} missing`;
  }

  finish(): Promise<readonly FlowReport[]> {
    return Promise.all([this.#there.finish(), this.#back.finish()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#there[Symbol.asyncDispose](), this.#back[Symbol.asyncDispose]()]);
  }
}

function hostOf({ namespace, inner }: Site): PacketEnd {
  return { namespace, address: inner };
}
