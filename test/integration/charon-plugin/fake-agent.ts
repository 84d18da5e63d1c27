import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import {
  type AgentHello,
  type AgentMessage,
  decodePluginMessage,
  encodeAgentMessage,
  type FeedPolicy,
  type FeedRequest,
  type FeedSa,
  type FeedSaId,
  FrameSplitter,
  type PluginMessage,
  PROTOCOL_VERSION,
  type Result,
} from '../../../src/keyfeed/index.ts';
import { eventually } from '../../support/index.ts';

/** What the agent says to a request; undefined: nothing, ever. */
export type Answer = Pick<Result, 'code'> & Partial<Pick<Result, 'reason' | 'spi'>>;
export type Answers = (request: FeedRequest) => Answer | undefined;

export const OK: Answer = { code: 'ok' };

/** A request is told from a change by the plugin's waiting for it. */
function isRequest(message: PluginMessage): message is FeedRequest {
  switch (message.kind) {
    case 'get-spi':
    case 'probe':
      return true;
    case 'add-sa':
    case 'update-sa':
    case 'add-policy':
      return message.awaited;
    default:
      return false;
  }
}

function saKey({ protocol, spi, destination }: FeedSaId): string {
  return `${protocol} ${spi} ${destination.address}`;
}

function policyKey(policy: FeedPolicy): string {
  return JSON.stringify(policy);
}

/**
 * The agent's end of the key feed without an agent: answers what it is told to, and keeps the tables
 * an agent that trusts the stream would have.
 */
export class FakeAgent implements AsyncDisposable {
  /** Everything the plugin said, in order. */
  readonly received: PluginMessage[] = [];
  readonly sas = new Map<string, FeedSa>();
  readonly policies = new Map<string, FeedPolicy>();
  /** What was asked for and is not answered. */
  readonly unanswered: FeedRequest[] = [];
  answers: Answers;
  readonly #socket: Socket;
  readonly #closed: Promise<unknown>;

  private constructor(socket: Socket, answers: Answers) {
    this.#socket = socket;
    this.answers = answers;
    this.#closed = new Promise((resolve) => socket.once('close', resolve));
    const splitter = new FrameSplitter();
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      for (const { bytes, offset } of splitter.push(chunk)) this.#receive(decodePluginMessage(bytes, offset));
    });
  }

  /** Connects, and says nothing. */
  static async dial(path: string, answers: Answers = () => OK): Promise<FakeAgent> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    return new FakeAgent(socket, answers);
  }

  /** Connects and takes the snapshot. */
  static async sync(
    path: string,
    answers: Answers = () => OK,
    hello: Partial<AgentHello> = {},
  ): Promise<FakeAgent> {
    const agent = await FakeAgent.dial(path, answers);
    agent.send({ kind: 'agent-hello', version: PROTOCOL_VERSION, server: 'fake-agent', ...hello });
    await agent.message('snapshot-end');
    return agent;
  }

  /** Connects, takes the snapshot and is ready. */
  static async start(
    path: string,
    answers: Answers = () => OK,
    hello: Partial<AgentHello> = {},
  ): Promise<FakeAgent> {
    const agent = await FakeAgent.sync(path, answers, hello);
    agent.ready();
    return agent;
  }

  ready(routeInterface?: string, ackLatencyUs = 0): void {
    this.send({ kind: 'ready', routeInterface, ackLatencyUs });
  }

  send(message: AgentMessage): void {
    this.#socket.write(encodeAgentMessage(message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** The latest message of a kind, as soon as there is one. */
  message<K extends PluginMessage['kind']>(kind: K): Promise<Extract<PluginMessage, { kind: K }>> {
    const isKind = (message: PluginMessage): message is Extract<PluginMessage, { kind: K }> =>
      message.kind === kind;
    return eventually(`a message ${kind}`, () => this.received.findLast(isKind), {
      intervalMs: 2,
    });
  }

  /** Answers a request that was left unanswered. */
  answer(request: FeedRequest, answer: Answer): void {
    if (answer.code === 'ok') this.#apply(request);
    this.send({ kind: 'result', seq: request.seq, reason: undefined, spi: undefined, ...answer });
  }

  /** Reads no more. */
  pause(): void {
    this.#socket.pause();
  }

  /** Resolves when the plugin has closed the connection. */
  async closed(): Promise<void> {
    await this.#closed;
  }

  /** SPIs of a direction, sorted. */
  spis(direction: FeedSaId['direction']): number[] {
    return [...this.sas.values()]
      .filter(({ id }) => id.direction === direction)
      .map(({ id }) => id.spi)
      .sort((a, b) => a - b);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await this.#closed;
  }

  #receive(message: PluginMessage): void {
    this.received.push(message);
    if (!isRequest(message)) {
      this.#apply(message);
      return;
    }
    const answer = this.answers(message);
    if (answer === undefined) this.unanswered.push(message);
    else this.answer(message, answer);
  }

  #apply(message: PluginMessage): void {
    switch (message.kind) {
      case 'add-sa':
        this.sas.set(saKey(message.sa.id), message.sa);
        break;
      case 'del-sa':
        this.sas.delete(saKey(message.id));
        break;
      case 'update-sa':
        this.#move(message.id, { source: message.newSource, destination: message.newDestination });
        break;
      case 'add-policy':
        this.policies.set(policyKey(message.policy), message.policy);
        break;
      case 'del-policy':
        this.policies.delete(policyKey(message.policy));
        break;
      case 'flush-sas':
        this.sas.clear();
        break;
      case 'flush-policies':
        this.policies.clear();
        break;
      default:
        break;
    }
  }

  #move(id: FeedSaId, endpoints: Pick<FeedSaId, 'source' | 'destination'>): void {
    const sa = this.sas.get(saKey(id));
    if (sa === undefined) return;
    this.sas.delete(saKey(id));
    const moved = { ...sa, id: { ...sa.id, ...endpoints } };
    this.sas.set(saKey(moved.id), moved);
  }
}
