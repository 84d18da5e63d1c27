import { GenericContainer, Wait } from 'testcontainers';
import type { z } from 'zod';
import {
  eventually,
  inRepository,
  type ReceivedCounts,
  receivedSchema,
  type SentCounts,
  sentSchema,
} from '../../support/index.ts';
import { TAG } from './compose-file.ts';
import { withoutHeaders } from './log-stream.ts';
import type { Project } from './project.ts';
import { TEST_LABEL } from './service-container.ts';

const PORT = 7001;
const PAYLOAD_BYTES = 64;
const PACKETS_PER_SECOND = 500;
const PROGRAM = '/packet-counter';

/** A client of compose.yaml and its address. */
type End = { readonly service: string; readonly address: string };

/** One packet-counter, in a container of its own in a client's network. */
class Counter {
  readonly #project: Project;
  readonly #id: string;

  private constructor(project: Project, id: string) {
    this.#project = project;
    this.#id = id;
  }

  static async start(project: Project, service: string, args: readonly string[]): Promise<Counter> {
    const container = await new GenericContainer(`lagopus-ipsec-agent/client:${TAG}`)
      .withLabels({ [TEST_LABEL]: `traffic-${service}` })
      .withNetworkMode(`container:${project.names.container(service)}`)
      .withAddedCapabilities('NET_ADMIN')
      .withBindMounts([
        { source: inRepository('build', 'test-tools', 'packet-counter'), target: PROGRAM, mode: 'ro' },
      ])
      .withCommand([PROGRAM, ...args])
      .withAutoRemove(false)
      .withWaitStrategy(Wait.forLogMessage('"ready":true'))
      .withStartupTimeout(20_000)
      .start();
    return new Counter(project, container.getId());
  }

  async #lines(): Promise<readonly string[]> {
    const { dockerode } = this.#project.client.container;
    const bytes = await dockerode.getContainer(this.#id).logs({ stdout: true, stderr: true, follow: false });
    return withoutHeaders(bytes).trimEnd().split('\n');
  }

  /** The counts so far. */
  async counts<T>(schema: z.ZodType<T>): Promise<T> {
    const { dockerode } = this.#project.client.container;
    const { length } = await this.#lines();
    await dockerode.getContainer(this.#id).kill({ signal: 'SIGUSR1' });
    const line = await eventually('it reports', async () => (await this.#lines())[length]);
    return schema.parse(JSON.parse(line));
  }

  async stop<T>(schema: z.ZodType<T>): Promise<T> {
    const container = this.#project.client.container.dockerode.getContainer(this.#id);
    await container.stop({ t: 10 });
    return schema.parse(JSON.parse((await this.#lines()).at(-1) ?? ''));
  }

  async remove(): Promise<void> {
    await this.#project.client.container.dockerode.getContainer(this.#id).remove({ force: true, v: true });
  }
}

export type TrafficReport = ReceivedCounts & Pick<SentCounts, 'sent'> & { readonly lost: number };

/** Numbered packets from one client to another, counted where they arrive. */
export class Traffic implements AsyncDisposable {
  readonly #sender: Counter;
  readonly #receiver: Counter;

  private constructor(sender: Counter, receiver: Counter) {
    this.#sender = sender;
    this.#receiver = receiver;
  }

  static async start(project: Project, from: End, to: End, stream: number): Promise<Traffic> {
    const [port, number] = [String(PORT + stream), String(stream)];
    const receiver = await Counter.start(project, to.service, ['receive', to.address, port, number]);
    const numbers = [port, number, ...[PAYLOAD_BYTES, PACKETS_PER_SECOND, 0].map(String)];
    const sender = await Counter.start(project, from.service, [
      ...['send', from.address, to.address],
      ...numbers,
    ]);
    return new Traffic(sender, receiver);
  }

  received(): Promise<ReceivedCounts> {
    return this.#receiver.counts(receivedSchema);
  }

  /** Waits until more packets have arrived than now. */
  async waitFlowing(): Promise<void> {
    const { received } = await this.received();
    await eventually('packets arrive', async () => (await this.received()).received > received, {
      timeoutMs: 20_000,
      intervalMs: 100,
    });
  }

  /** Ends the sender, waits a moment for stragglers, then ends the receiver. */
  async finish(): Promise<TrafficReport> {
    const { sent } = await this.#sender.stop(sentSchema);
    await eventually('all arrived', async () => (await this.received()).received >= sent, {
      timeoutMs: 1_000,
      intervalMs: 100,
    }).catch(() => undefined);
    const received = await this.#receiver.stop(receivedSchema);
    return { ...received, sent, lost: sent - received.received };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender.remove();
    await this.#receiver.remove();
  }
}
