import { join } from 'node:path';
import { z } from 'zod';
import { eventually } from './eventually.ts';
import type { ManagedProcess } from './managed-process.ts';
import type { NetNamespace } from './net-namespace.ts';
import { inRepository } from './repository.ts';

/** What `packet-counter send` prints at its end. */
export const sentSchema = z.object({
  /** Packets that left, numbered 0 .. sent-1. */
  sent: z.number(),
  /** Attempts the kernel refused; each was tried again with the same number. */
  refused: z.number(),
  lastError: z.string(),
  elapsedMs: z.number(),
});

/** What `packet-counter receive` prints. */
export const receivedSchema = z.object({
  /** Distinct numbers. */
  received: z.number(),
  duplicates: z.number(),
  /** Arrived after a higher number. */
  reordered: z.number(),
  /** Not of this stream. */
  foreign: z.number(),
  /** Numbers below the highest one seen that did not arrive. */
  missing: z.number(),
  longestSilenceMs: z.number(),
  gaps: z.array(z.object({ first: z.number(), count: z.number() })),
});

export type SentCounts = z.infer<typeof sentSchema>;
export type ReceivedCounts = z.infer<typeof receivedSchema>;

export type PacketEnd = { readonly namespace: NetNamespace; readonly address: string };

const PROGRAM = inRepository('build', 'test-tools', 'packet-counter');
const PORT = 7001;

/** One packet-counter process, which answers SIGUSR1 and SIGTERM with a line of JSON. */
class Counter<T> implements AsyncDisposable {
  readonly #process: ManagedProcess;
  readonly #schema: z.ZodType<T>;
  readonly #lines: string[] = [];

  constructor(namespace: NetNamespace, logPath: string, args: readonly string[], schema: z.ZodType<T>) {
    this.#schema = schema;
    this.#process = namespace.spawn({
      name: `packet-counter ${args.join(' ')}`,
      argv: [PROGRAM, ...args],
      logPath,
      onLine: (line) => this.#lines.push(line),
    });
  }

  async waitReady(): Promise<void> {
    await this.#process.waitFor('its socket is bound', () => this.#lines.shift());
  }

  /** The counts so far. */
  async counts(): Promise<T> {
    this.#lines.length = 0;
    this.#process.signal('SIGUSR1');
    return this.#parse(await this.#process.waitFor('it reports', () => this.#lines.at(-1)));
  }

  /** Ends it. */
  async stop(): Promise<T> {
    await this.#process.stop();
    return this.#parse(this.#lines.at(-1));
  }

  /** Waits until it ends by itself. */
  async finish(): Promise<T> {
    await this.#process.exited;
    return this.#parse(this.#lines.at(-1));
  }

  #parse(line: string | undefined): T {
    return this.#schema.parse(JSON.parse(line ?? '{}'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

export type FlowOptions = {
  readonly from: PacketEnd;
  readonly to: PacketEnd;
  /** Where the log goes. */
  readonly dir: string;
  readonly packetsPerSecond: number;
  /** Without it the flow goes on until `finish`. */
  readonly count?: number;
  /** UDP payload, 16 .. 9000. */
  readonly sizeBytes?: number;
  /** Tells flows between the same addresses apart. */
  readonly stream?: number;
};

export type FlowReport = ReceivedCounts & Pick<SentCounts, 'sent' | 'refused'> & { readonly lost: number };

/** Numbered UDP packets one way, counted at both ends. */
export class PacketFlow implements AsyncDisposable {
  readonly #sender: Counter<SentCounts>;
  readonly #receiver: Counter<ReceivedCounts>;
  readonly #isCounted: boolean;

  private constructor(options: FlowOptions, receiver: Counter<ReceivedCounts>) {
    const { from, to, stream = 1, sizeBytes = 64, packetsPerSecond, count } = options;
    this.#receiver = receiver;
    this.#isCounted = count !== undefined;
    const numbers = [PORT + stream, stream, sizeBytes, packetsPerSecond, count ?? 0].map(String);
    this.#sender = new Counter(
      from.namespace,
      logPath(options),
      ['send', from.address, to.address, ...numbers],
      sentSchema,
    );
  }

  static async start(options: FlowOptions): Promise<PacketFlow> {
    const { to, stream = 1 } = options;
    const args = ['receive', to.address, String(PORT + stream), String(stream)];
    const receiver = new Counter(to.namespace, logPath(options), args, receivedSchema);
    try {
      await receiver.waitReady();
    } catch (error) {
      await receiver[Symbol.asyncDispose]();
      throw error;
    }
    return new PacketFlow(options, receiver);
  }

  /** What the receiver has so far. */
  received(): Promise<ReceivedCounts> {
    return this.#receiver.counts();
  }

  /** Waits until so many packets have arrived. */
  async waitReceived(count: number, timeoutMs = 10_000): Promise<void> {
    await eventually(`${count} packets received`, async () => (await this.received()).received >= count, {
      timeoutMs,
    });
  }

  /** Ends the sender, or waits for its last packet, then gives stragglers a moment. */
  async finish(): Promise<FlowReport> {
    const { sent, refused } = this.#isCounted ? await this.#sender.finish() : await this.#sender.stop();
    await this.waitReceived(sent, 500).catch(() => undefined);
    const received = await this.#receiver.stop();
    return { ...received, sent, refused, lost: sent - received.received };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#sender[Symbol.asyncDispose](), this.#receiver[Symbol.asyncDispose]()]);
  }
}

function logPath(options: FlowOptions): string {
  return join(options.dir, 'packet-counter.log');
}
