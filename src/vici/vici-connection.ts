import { AgentError, type Clock, InvariantError, MalformedError } from '../util/index.ts';
import type { Deadline } from './deadline.ts';
import { decodeMessage } from './decode-message.ts';
import { encodeMessage, type ViciArguments } from './encode-message.ts';
import { decodePacket, encodePacket, messageOffset, type ViciPacket } from './packet.ts';
import { ViciSection } from './section.ts';
import type { Segment } from './segment-splitter.ts';
import { ViciTransport } from './vici-transport.ts';

/** An event; its message is decoded when somebody looks. */
export type RawEvent = {
  readonly name: string;
  readonly message: Uint8Array;
  /** Where the message starts in the stream. */
  readonly offset: number;
  /** Throws MalformedError. */
  readonly decode: () => ViciSection;
};

type Reply = { readonly packet: ViciPacket; readonly decode: () => ViciSection };
type Exchange = { readonly resolve: (reply: Reply) => void; readonly reject: (reason: unknown) => void };

/** Above it charon's log holds keys. */
const HIGHEST_LOG_LEVEL = 3;

/**
 * One connection: one exchange at a time, because VICI's replies carry no number.
 * An exchange that is given up closes the connection: its reply would be taken for
 * that of the next.
 */
export class ViciConnection implements AsyncDisposable {
  readonly #transport: ViciTransport;
  readonly #registered = new Set<string>();
  #exchange: Exchange | undefined;

  private constructor(transport: ViciTransport, onEvent: (event: RawEvent) => void) {
    this.#transport = transport;
    transport.receive((segment) => this.#receive(segment, onEvent));
    void transport.ended.then((reason) => this.#exchange?.reject(reason ?? closed()));
  }

  /** `onEvent` is called synchronously from the socket's read, for every registered event. */
  static async open(
    uri: string,
    options: {
      readonly deadline: Deadline;
      readonly clock: Clock;
      readonly onEvent: (event: RawEvent) => void;
    },
  ): Promise<ViciConnection> {
    return new ViciConnection(await ViciTransport.connect(uri, options), options.onEvent);
  }

  /** Why it ended; undefined when it was disposed. Never rejects. */
  get ended(): Promise<unknown> {
    return this.#transport.ended;
  }

  get isEnded(): boolean {
    return this.#transport.isEnded;
  }

  /** Closes the connection for this reason; the first one counts. */
  end(reason: unknown): void {
    this.#transport.end(reason);
  }

  /** Asks for an event, once. Throws AgentError `unsupported` when charon does not know it. */
  async register(event: string, deadline: Deadline): Promise<void> {
    if (this.#registered.has(event)) return;
    const { packet } = await this.#ask({ kind: 'event-register', name: event }, deadline);
    if (packet.kind === 'event-unknown') {
      throw new AgentError(`charon does not know the VICI event ${event}: it is too old, or lacks a plugin`, {
        code: 'unsupported',
      });
    }
    if (packet.kind !== 'event-confirm') throw this.#unexpected(packet);
    this.#registered.add(event);
  }

  /** The end of a registration. */
  async unregister(event: string, deadline: Deadline): Promise<void> {
    if (!this.#registered.delete(event)) return;
    const { packet } = await this.#ask({ kind: 'event-unregister', name: event }, deadline);
    if (packet.kind !== 'event-confirm') throw this.#unexpected(packet);
  }

  /** Sends a command and gives its reply. Throws AgentError `unsupported` when charon does not know it. */
  async request(command: string, args: ViciArguments, deadline: Deadline): Promise<ViciSection> {
    refuseKeysInLog(command, args);
    const message = encodeMessage(args);
    const reply = await this.#ask({ kind: 'command-request', name: command, message }, deadline);
    if (reply.packet.kind === 'command-unknown') {
      throw new AgentError(
        `charon does not know the VICI command ${command}: it is too old, or lacks a plugin`,
        {
          code: 'unsupported',
        },
      );
    }
    if (reply.packet.kind !== 'command-response') throw this.#unexpected(reply.packet);
    return reply.decode();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  async #ask(packet: ViciPacket, deadline: Deadline): Promise<Reply> {
    if (this.#exchange !== undefined)
      throw new InvariantError('two exchanges at once on one VICI connection');
    if (this.isEnded) throw (await this.ended) ?? closed();
    const bytes = encodePacket(packet);
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#exchange = { resolve, reject };
    this.#transport.send(bytes);
    try {
      return await deadline.race(promise);
    } catch (error) {
      this.end(error);
      throw error;
    } finally {
      this.#exchange = undefined;
    }
  }

  #receive({ bytes, offset }: Segment, onEvent: (event: RawEvent) => void): void {
    const packet = decodePacket(bytes, offset);
    const decode = (): ViciSection =>
      'message' in packet ? decodeMessage(packet.message, offset + messageOffset(packet)) : new ViciSection();
    switch (packet.kind) {
      case 'event':
        onEvent({
          name: packet.name,
          message: packet.message,
          offset: offset + messageOffset(packet),
          decode,
        });
        break;
      case 'command-response':
      case 'command-unknown':
      case 'event-confirm':
      case 'event-unknown':
        if (this.#exchange === undefined) {
          throw new MalformedError(`charon sent a ${packet.kind} that nobody asked for`, offset);
        }
        this.#exchange.resolve({ packet, decode });
        this.#exchange = undefined;
        break;
      case 'command-request':
      case 'event-register':
      case 'event-unregister':
        throw new MalformedError(`charon sent a ${packet.kind}, which only clients do`, offset);
    }
  }

  /** A reply to something else: the order is lost, and so is the connection. */
  #unexpected(packet: ViciPacket): AgentError {
    const error = new AgentError(`charon answered with ${packet.kind}`, {
      code: 'malformed',
      retryable: true,
    });
    this.end(error);
    return error;
  }
}

function closed(): AgentError {
  return new AgentError('the VICI connection was closed', { code: 'aborted' });
}

function refuseKeysInLog(command: string, args: ViciArguments): void {
  const level = args.loglevel;
  if (level === undefined || Number(level) <= HIGHEST_LOG_LEVEL) return;
  throw new AgentError(
    `${command}: loglevel ${String(level)} would send keys, ${HIGHEST_LOG_LEVEL} is the highest`,
    {
      code: 'invalid-input',
    },
  );
}
