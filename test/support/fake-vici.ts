import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  decodeMessage,
  decodePacket,
  encodeMessage,
  encodePacket,
  SegmentSplitter,
  type ViciArguments,
  type ViciPacket,
  type ViciSection,
} from '../../src/vici/index.ts';

/** What a command answers: a reply, after the events it streams. `never` stays silent. */
export type FakeReply =
  | {
      readonly events?: readonly (readonly [string, ViciArguments | ViciSection])[];
      readonly reply?: ViciArguments;
    }
  | 'never';

export type FakeCommand = (args: ViciSection) => FakeReply | Promise<FakeReply>;

/** charon lets no more connections wait: connect() gives EAGAIN. */
const CHARON_BACKLOG = 3;

/** charon's VICI without charon, on a real unix socket: commands are functions. */
export class FakeVici implements AsyncDisposable {
  /** Every command it was asked, in order. */
  readonly asked: { readonly command: string; readonly args: ViciSection }[] = [];
  /** Every registration it was asked for. */
  readonly registered: string[] = [];
  readonly #server: Server;
  readonly #peers = new Map<Socket, Set<string>>();
  readonly #commands: ReadonlyMap<string, FakeCommand>;
  readonly #events: ReadonlySet<string>;
  #connections = 0;

  private constructor(
    server: Server,
    commands: Readonly<Record<string, FakeCommand>>,
    events: readonly string[],
  ) {
    this.#server = server;
    this.#commands = new Map(Object.entries(commands));
    this.#events = new Set(events);
    server.on('connection', (socket) => this.#welcome(socket));
  }

  static async listen(
    path: string,
    commands: Readonly<Record<string, FakeCommand>>,
    events: readonly string[] = ['list-sa', 'list-conn', 'ike-updown', 'child-updown'],
  ): Promise<FakeVici> {
    const server = createServer();
    const fake = new FakeVici(server, commands, events);
    server.listen({ path, backlog: CHARON_BACKLOG });
    await once(server, 'listening');
    return fake;
  }

  /** How many clients have connected so far. */
  get connections(): number {
    return this.#connections;
  }

  get openConnections(): number {
    return this.#peers.size;
  }

  /** Sends an event to everybody who registered for it. */
  raise(event: string, message: ViciArguments | ViciSection): void {
    const packet = encodePacket({ kind: 'event', name: event, message: encodeMessage(message) });
    for (const [socket, events] of this.#peers) {
      if (events.has(event)) socket.write(packet);
    }
  }

  /** Sends bytes to everybody. */
  sendBytes(bytes: Uint8Array): void {
    for (const socket of this.#peers.keys()) socket.write(bytes);
  }

  /** Closes all connections, as a charon that dies does. */
  hangUp(): void {
    for (const socket of this.#peers.keys()) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #welcome(socket: Socket): void {
    this.#connections += 1;
    const events = new Set<string>();
    this.#peers.set(socket, events);
    const splitter = new SegmentSplitter();
    let last: Promise<void> = Promise.resolve();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#peers.delete(socket));
    socket.on('data', (chunk) => {
      for (const { bytes } of splitter.push(chunk)) {
        const packet = decodePacket(bytes);
        last = last.then(() => this.#answer(socket, events, packet));
      }
    });
  }

  async #answer(socket: Socket, events: Set<string>, packet: ViciPacket): Promise<void> {
    const send = (answer: ViciPacket): void => void socket.write(encodePacket(answer));
    if (packet.kind === 'event-register') {
      this.registered.push(packet.name);
      const isKnown = this.#events.has(packet.name);
      if (isKnown) events.add(packet.name);
      send({ kind: isKnown ? 'event-confirm' : 'event-unknown' });
      return;
    }
    if (packet.kind !== 'command-request') throw new Error(`a client sent ${packet.kind}`);
    const args = decodeMessage(packet.message);
    this.asked.push({ command: packet.name, args });
    const command = this.#commands.get(packet.name);
    if (command === undefined) {
      send({ kind: 'command-unknown' });
      return;
    }
    const reply = await command(args);
    if (reply === 'never') return;
    for (const [name, message] of reply.events ?? []) {
      if (events.has(name)) send({ kind: 'event', name, message: encodeMessage(message) });
    }
    send({ kind: 'command-response', message: encodeMessage(reply.reply ?? {}) });
  }
}
