import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { decodePluginMessage, FrameSplitter, type PluginMessage, wipeKeys } from '../../src/keyfeed/index.ts';

type Hold = { readonly matches: (message: PluginMessage) => boolean; readonly caught: () => void };

/** The two connections of one agent. */
type Splice = { readonly plugin: Socket; readonly agent: Socket };

/**
 * Between charon's plugin and a running agent, on real sockets: passes everything on, frame by frame,
 * but for what a test has it keep; and says what a test has it say.
 */
export class FeedRelay implements AsyncDisposable {
  /** Where the agent connects. */
  readonly path: string;
  readonly #pluginPath: string;
  readonly #server: Server;
  #splice: Splice | undefined;
  #hold: Hold | undefined;
  #connections = 0;

  private constructor(path: string, pluginPath: string) {
    this.path = path;
    this.#pluginPath = pluginPath;
    this.#server = createServer((agent) => this.#join(agent));
  }

  static async listen(path: string, pluginPath: string): Promise<FeedRelay> {
    const relay = new FeedRelay(path, pluginPath);
    relay.#server.listen(path);
    await once(relay.#server, 'listening');
    return relay;
  }

  /** How many times an agent has connected. */
  get connections(): number {
    return this.#connections;
  }

  /** Keeps the next message that matches, and all that follow on this connection; resolves when it has it. */
  holdFrom(matches: Hold['matches']): Promise<void> {
    return new Promise((caught) => {
      this.#hold = { matches, caught };
    });
  }

  /** Says something to the agent as if the plugin had, between two messages. */
  toAgent(bytes: Uint8Array): void {
    this.#splice?.agent.write(bytes);
  }

  /** Says something to the plugin as if the agent had. */
  toPlugin(bytes: Uint8Array): void {
    this.#splice?.plugin.write(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#splice?.agent.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #join(agent: Socket): void {
    const plugin = createConnection(this.#pluginPath);
    this.#splice = { plugin, agent };
    this.#connections += 1;
    for (const [from, to] of [
      [plugin, agent],
      [agent, plugin],
    ] as const) {
      from.on('error', () => from.destroy());
      from.on('end', () => to.end());
      from.on('close', () => to.destroy());
    }
    agent.on('data', (chunk) => plugin.write(chunk));
    this.#passOn(plugin, agent);
  }

  #passOn(plugin: Socket, agent: Socket): void {
    const splitter = new FrameSplitter();
    let isHeld = false;
    plugin.on('data', (chunk: Buffer) => {
      for (const { bytes, offset } of splitter.push(chunk)) {
        isHeld ||= this.#isCaught(decodePluginMessage(bytes, offset));
        if (isHeld) continue;
        const frame = Buffer.alloc(4 + bytes.length);
        frame.writeUInt32BE(bytes.length);
        frame.set(bytes, 4);
        agent.write(frame);
      }
    });
  }

  #isCaught(message: PluginMessage): boolean {
    const hold = this.#hold;
    const isCaught = hold?.matches(message) ?? false;
    wipeKeys(message);
    if (!isCaught) return false;
    this.#hold = undefined;
    hold?.caught();
    return true;
  }
}
