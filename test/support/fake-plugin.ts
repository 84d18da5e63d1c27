import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  type AgentMessage,
  decodeAgentMessage,
  encodePluginMessage,
  type FeedChange,
  type FeedPolicy,
  type FeedRequest,
  type FeedSa,
  FrameSplitter,
  type Hello,
  type PluginMessage,
  PROTOCOL_VERSION,
  type Result,
} from '../../src/keyfeed/index.ts';
import { eventually } from './eventually.ts';

/** Of a request, everything but its number. */
type WithoutSeq<T> = T extends unknown ? Omit<T, 'seq'> : never;

/**
 * charon's plugin without charon: its end of the protocol on a real unix socket.
 * It holds what the snapshot will show, and serves one agent after another.
 */
export class FakePlugin implements AsyncDisposable {
  /** What the next agent is greeted with. */
  hello: Hello;
  /** What the next agent finds in its snapshot. */
  sas: readonly FeedSa[] = [];
  policies: readonly FeedPolicy[] = [];
  /** Where a snapshot comes from instead, when there are too many to be kept up to date twice. */
  tables = (): { readonly sas: readonly FeedSa[]; readonly policies: readonly FeedPolicy[] } => this;
  /** Everything agents said, in order; counters only when nobody wants to know for how long. */
  readonly received: AgentMessage[] = [];
  keepsUsage = true;
  /** The last thing an agent said of itself on this connection. */
  readiness: (AgentMessage & { readonly kind: 'ready' | 'not-ready' }) | undefined;
  /** When the last snapshot was begun, on the scale of performance.now(). */
  snapshotAtMs = 0;
  readonly #server: Server;
  readonly #results = new Map<bigint, (result: Result) => void>();
  #peer: Socket | undefined;
  #seq = 0n;
  #connections = 0;

  private constructor(server: Server, hello: Partial<Hello>) {
    this.#server = server;
    this.hello = {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      instance: '00112233445566778899aabbccddeeff',
      server: 'fake-plugin',
      deadlineMs: 1_000,
      ...hello,
    };
    server.on('connection', (socket) => this.#welcome(socket));
  }

  static async listen(path: string, hello: Partial<Hello> = {}): Promise<FakePlugin> {
    const server = createServer();
    const plugin = new FakePlugin(server, hello);
    server.listen(path);
    await once(server, 'listening');
    return plugin;
  }

  /** How many agents have connected so far. */
  get connections(): number {
    return this.#connections;
  }

  get isConnected(): boolean {
    return this.#peer !== undefined;
  }

  /** Resolves once an agent said it is ready, on the current connection or a later one. */
  async ready(): Promise<void> {
    await eventually('an agent that is ready', () => this.received.some(({ kind }) => kind === 'ready'));
  }

  /** Sends a change that nobody waits for. */
  change(message: WithoutSeq<FeedChange>): void {
    this.#seq += 1n;
    this.send({ ...message, seq: this.#seq });
  }

  /** Sends a request and gives its RESULT. It stays pending when the connection ends. */
  request(message: WithoutSeq<FeedRequest>): Promise<Result> {
    this.#seq += 1n;
    const seq = this.#seq;
    return new Promise((resolve) => {
      this.#results.set(seq, resolve);
      this.send({ ...message, seq });
    });
  }

  /** Sends any message as it is. */
  send(message: PluginMessage): void {
    this.sendBytes(encodePluginMessage(message));
  }

  /** Sends bytes that need not be a message. */
  sendBytes(bytes: Uint8Array): void {
    this.#peer?.write(bytes);
  }

  /** Closes the connection, as a charon that dies does. */
  hangUp(): void {
    this.#peer?.destroy();
    this.#peer = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #welcome(socket: Socket): void {
    this.#connections += 1;
    socket.on('error', () => socket.destroy());
    if (this.#peer !== undefined) {
      socket.end(encodePluginMessage({ kind: 'error', code: 'busy', reason: 'an agent is connected' }));
      return;
    }
    this.#peer = socket;
    this.readiness = undefined;
    const splitter = new FrameSplitter();
    socket.on('data', (chunk) => {
      for (const { bytes, offset } of splitter.push(chunk)) this.#receive(decodeAgentMessage(bytes, offset));
    });
    socket.on('close', () => {
      if (this.#peer !== socket) return;
      this.#peer = undefined;
      this.readiness = undefined;
    });
    this.send(this.hello);
  }

  #receive(message: AgentMessage): void {
    const isUsage = message.kind === 'usage' || message.kind === 'policy-usage';
    if (this.keepsUsage || !isUsage) this.received.push(message);
    if (message.kind === 'ready' || message.kind === 'not-ready') this.readiness = message;
    if (message.kind === 'agent-hello' && message.version === this.hello.version) this.#sendSnapshot();
    if (message.kind !== 'result') return;
    this.#results.get(message.seq)?.(message);
    this.#results.delete(message.seq);
  }

  /** Encoded before the first byte is sent: how long that takes is not the agent's time. */
  #sendSnapshot(): void {
    const { sas, policies } = this.tables();
    const frames: Uint8Array[] = [];
    const last = this.#seq + BigInt(sas.length + policies.length);
    const put = (message: PluginMessage): void => void frames.push(encodePluginMessage(message));
    const next = (): bigint => {
      this.#seq += 1n;
      return this.#seq;
    };
    put({ kind: 'snapshot-begin', seq: last });
    for (const sa of sas) put({ kind: 'add-sa', awaited: false, sa, seq: next() });
    for (const policy of policies) put({ kind: 'add-policy', awaited: false, policy, seq: next() });
    put({ kind: 'snapshot-end', seq: last, count: sas.length + policies.length });
    const bytes = Buffer.concat(frames);
    this.snapshotAtMs = performance.now();
    this.sendBytes(bytes);
  }
}
