import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { fakeSaCommands, type ScriptedIkeSa } from './fake-sas.ts';

/** What a command answers: a reply, after the events it streams. `never` stays silent. */
export type FakeReply =
  | {
      readonly events?: readonly (readonly [string, ViciArguments | ViciSection])[];
      /** `never`: the events and no more. */
      readonly reply?: ViciArguments | 'never';
    }
  | 'never';

export type FakeCommand = (args: ViciSection) => FakeReply | Promise<FakeReply>;

export type FakeCharonOptions = {
  /** On top of `stats` and `list-sas`, which tell of the scripted SAs. */
  readonly commands?: Readonly<Record<string, FakeCommand>>;
  /** The events it knows. */
  readonly events?: readonly string[];
};

/** How it writes from now on. */
export type FakeWriting = {
  /** So many bytes at a time ... */
  readonly pieceBytes?: number;
  /** ... with a pause after each. */
  readonly pauseMs?: number;
  /** Ends the connection after so many bytes of what it writes next. */
  readonly cutAfterBytes?: number;
};

/** charon lets no more connections wait: connect() gives EAGAIN. */
const CHARON_BACKLOG = 3;
/** What charon does not send, without a word. */
const MESSAGE_LIMIT_BYTES = 512 * 1024;

const EVENTS = [
  ...['log', 'control-log', 'list-sa', 'list-policy', 'list-conn', 'list-cert', 'list-authority'],
  ...['ike-updown', 'ike-rekey', 'ike-update', 'child-updown', 'child-rekey'],
];

type Peer = { readonly socket: Socket; readonly events: Set<string>; last: Promise<void> };

/**
 * charon's VICI without charon, on a real unix socket: commands are functions, SAs are
 * scripted, and it can be as slow, as broken and as busy as a test wants.
 */
export class FakeCharon implements AsyncDisposable {
  /** What `list-sas` and `stats` tell of; a test changes it as it likes. */
  sas: ScriptedIkeSa[] = [];
  writing: FakeWriting = {};
  /** Every command it was asked, in order. */
  readonly asked: { readonly command: string; readonly args: ViciSection }[] = [];
  /** Every registration it was asked for, and every end of one. */
  readonly registered: string[] = [];
  readonly unregistered: string[] = [];
  /** Events that were too large to send. */
  dropped = 0;
  readonly #server: Server;
  readonly #peers = new Set<Peer>();
  readonly #commands: ReadonlyMap<string, FakeCommand>;
  readonly #events: ReadonlySet<string>;
  #connections = 0;

  private constructor(server: Server, { commands = {}, events = EVENTS }: FakeCharonOptions) {
    this.#server = server;
    this.#commands = new Map(Object.entries({ ...fakeSaCommands(() => this.sas), ...commands }));
    this.#events = new Set(events);
    server.on('connection', (socket) => this.#welcome(socket));
  }

  static async listen(path: string, options: FakeCharonOptions = {}): Promise<FakeCharon> {
    const server = createServer();
    const fake = new FakeCharon(server, options);
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

  /** What clients have not read yet: charon has it in its memory. */
  get unreadBytes(): number {
    return [...this.#peers].reduce((sum, { socket }) => sum + socket.writableLength, 0);
  }

  /** Sends an event to everybody who registered for it, if it is not too large. */
  raise(event: string, message: ViciArguments | ViciSection): void {
    for (const peer of this.#peers) void this.#sendEvent(peer, event, message);
  }

  /** Raises so many events as fast as it can, without a look at who reads them. */
  storm(event: string, count: number, message: (index: number) => ViciArguments): void {
    for (let index = 0; index < count; index += 1) this.raise(event, message(index));
  }

  /** Sends bytes to everybody. */
  sendBytes(bytes: Uint8Array): void {
    for (const { socket } of this.#peers) socket.write(bytes);
  }

  /** Closes all connections, as a charon that dies does. */
  hangUp(): void {
    for (const { socket } of this.#peers) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #welcome(socket: Socket): void {
    this.#connections += 1;
    const peer: Peer = { socket, events: new Set(), last: Promise.resolve() };
    this.#peers.add(peer);
    const splitter = new SegmentSplitter();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#peers.delete(peer));
    socket.on('data', (chunk) => {
      for (const { bytes } of splitter.push(chunk)) {
        const packet = decodePacket(bytes);
        peer.last = peer.last.then(() => this.#answer(peer, packet));
      }
    });
  }

  async #answer(peer: Peer, packet: ViciPacket): Promise<void> {
    if (packet.kind === 'event-register' || packet.kind === 'event-unregister') {
      const isNew = packet.kind === 'event-register';
      (isNew ? this.registered : this.unregistered).push(packet.name);
      const isKnown = this.#events.has(packet.name);
      if (!isNew) peer.events.delete(packet.name);
      else if (isKnown) peer.events.add(packet.name);
      await this.#write(peer.socket, { kind: isKnown ? 'event-confirm' : 'event-unknown' });
      return;
    }
    if (packet.kind !== 'command-request') throw new Error(`a client sent ${packet.kind}`);
    const args = decodeMessage(packet.message);
    this.asked.push({ command: packet.name, args });
    const command = this.#commands.get(packet.name);
    if (command === undefined) {
      await this.#write(peer.socket, { kind: 'command-unknown' });
      return;
    }
    const answer = await command(args);
    if (answer === 'never') return;
    for (const [name, message] of answer.events ?? []) await this.#sendEvent(peer, name, message);
    if (answer.reply === 'never') return;
    await this.#write(peer.socket, {
      kind: 'command-response',
      message: encodeMessage(answer.reply ?? {}),
    });
  }

  #sendEvent(
    { socket, events }: Peer,
    name: string,
    content: ViciArguments | ViciSection,
  ): Promise<void> | undefined {
    if (!events.has(name)) return undefined;
    const message = encodeMessage(content);
    if (message.length + name.length + 2 > MESSAGE_LIMIT_BYTES) {
      this.dropped += 1;
      return undefined;
    }
    return this.#write(socket, { kind: 'event', name, message });
  }

  async #write(socket: Socket, packet: ViciPacket): Promise<void> {
    if (socket.destroyed || socket.writableEnded) return;
    const bytes = encodePacket(packet);
    const { pieceBytes = bytes.length, pauseMs, cutAfterBytes } = this.writing;
    if (cutAfterBytes !== undefined) {
      this.writing = {};
      socket.end(bytes.subarray(0, cutAfterBytes));
      return;
    }
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      if (socket.destroyed || socket.writableEnded) return;
      socket.write(bytes.subarray(at, at + pieceBytes));
      if (pauseMs !== undefined) await sleep(pauseMs);
    }
  }
}
