import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { type Clock, systemClock } from '../../../src/util/index.ts';
import { type Change, ConfigTree } from './config-tree.ts';
import {
  type ConfigReply,
  type ConfigRequest,
  ConfigType,
  configService,
  ExecCode,
  type ExecReply,
  type ExecRequest,
  execService,
  type Numbering,
  type RegisterModuleReply,
  type RegisterModuleRequest,
  type RegisterReply,
  type RegisterRequest,
  registerService,
} from './wire.ts';

export type Release = '0.8.0' | '0.8.1' | '0.8.2' | '0.8.3';

export type OpenconfigdOptions = {
  readonly release?: Release;
  /** Releases up to 0.8.3 run `diff -U -1`, which diffutils 3.8 refuses: commits do nothing. */
  readonly diffutils?: '3.7' | '3.8';
  /** Of the quadratic time a real commit takes (1000 entries: 3 s); 0 takes none. */
  readonly commitTimeScale?: number;
  readonly clock?: Clock;
  /** `set ...` lines of the configuration it starts with. */
  readonly config?: readonly string[];
};

type ConfigStream = ServerDuplexStream<ConfigRequest, ConfigReply>;
type Subscriber = {
  readonly stream: ConfigStream;
  readonly module: string;
  readonly paths: (readonly string[])[];
};

/** How long 0.8.2 and later wait per subscriber for API_CALL_FINISHED. */
const API_SYNC_MS = 20_000;

export function numberingOf(release: Release): Numbering {
  return release === '0.8.3' ? '0.8.3' : '0.8.2';
}

/** coreswitch/openconfigd: one candidate for all, no sessions, subscribers fed by sorted differences. */
export class FakeOpenconfigd implements AsyncDisposable {
  readonly release: Release;
  #isRegistering = false;
  /** Calls of the Register service since it last started. */
  readonly registered: (RegisterRequest | RegisterModuleRequest)[] = [];
  readonly #options: OpenconfigdOptions;
  readonly #clock: Clock;
  #server: Server | undefined;
  #port = 0;
  #active: ConfigTree;
  #candidate: ConfigTree;
  #hasDiscarded = false;
  #subscribers: Subscriber[] = [];
  /** The mutex that subscribe, commit and discard share. */
  #turn: Promise<void> = Promise.resolve();
  #sync: { release: () => void; isClosed: boolean } | undefined;
  #crash: string | undefined;

  private constructor(options: OpenconfigdOptions) {
    this.#options = options;
    this.release = options.release ?? '0.8.3';
    this.#clock = options.clock ?? systemClock;
    this.#active = new ConfigTree();
    for (const line of options.config ?? []) this.#mustSet(line);
    this.#candidate = this.#active.copy();
  }

  static async start(options: OpenconfigdOptions = {}): Promise<FakeOpenconfigd> {
    const daemon = new FakeOpenconfigd(options);
    await daemon.#listen();
    return daemon;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get subscriberCount(): number {
    return this.#subscribers.length;
  }

  /** Why it died, when it did. */
  get crash(): string | undefined {
    return this.#crash;
  }

  /** The active configuration as `set` lines. */
  get commands(): string {
    return this.#active.commands();
  }

  /** Operator's shortcut: sets and deletes (`set a b`, `delete a b`), then one commit; its reply. */
  async operate(lines: readonly string[]): Promise<string> {
    for (const line of lines) {
      const reply = this.#exec(line.split(' '));
      if (reply !== 'Success') throw new Error(`${line}: ${JSON.stringify(reply)}`);
    }
    return await this.#commit();
  }

  /** The process dies: streams break; what was committed is on its disk. */
  stop(): void {
    this.#subscribers = [];
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#candidate = this.#active.copy();
    this.registered.length = 0;
  }

  async restart(): Promise<void> {
    this.stop();
    this.#crash = undefined;
    this.#turn = Promise.resolve();
    this.#hasDiscarded = false;
    await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }

  async #listen(): Promise<void> {
    const numbering = numberingOf(this.release);
    const server = new Server();
    server.addService(configService(numbering), {
      DoConfig: (stream: ConfigStream) => this.#doConfig(stream),
    });
    server.addService(registerService(numbering), {
      DoRegister: (
        call: ServerUnaryCall<RegisterRequest, RegisterReply>,
        answer: sendUnaryData<Partial<RegisterReply>>,
      ) => {
        this.#register(call.request);
        setImmediate(() => this.#registerDone(() => answer(null, {})));
      },
      DoRegisterModule: (
        call: ServerUnaryCall<RegisterModuleRequest, RegisterModuleReply>,
        answer: sendUnaryData<Partial<RegisterModuleReply>>,
      ) => {
        this.#register(call.request);
        setImmediate(() => this.#registerDone(() => answer(null, {})));
      },
    });
    server.addService(execService(numbering), {
      DoExec: (call: ServerUnaryCall<ExecRequest, ExecReply>, answer: sendUnaryData<Partial<ExecReply>>) => {
        void this.#doExec(call.request).then((reply) => answer(null, reply));
      },
    });
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(this.address, ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    this.#server = server;
  }

  async #doExec({ args, line }: ExecRequest): Promise<Partial<ExecReply>> {
    // The words come from `args`; `line` is only looked at for its first word.
    const words = args.flatMap((arg) => arg.split(/\s+/)).filter((word) => word !== '');
    if (line.trim() === '') return { lines: 'Incomplete\n' };
    switch (words[0]) {
      case 'commit':
        return { code: ExecCode.SHOW, lines: await this.#commit() };
      case 'discard':
        await this.#locked(() => {
          this.#candidate = this.#active.copy();
          this.#hasDiscarded = true;
        });
        return { code: ExecCode.SHOW, lines: '' };
      case 'compare':
        return { code: ExecCode.SHOW, lines: textOf(this.#changes()) };
      case 'commands':
        return { code: ExecCode.SHOW, lines: this.#active.commands() };
      default:
        return { lines: this.#exec(words) };
    }
  }

  #exec(words: readonly string[]): string {
    const [verb, ...path] = words;
    if (verb === 'set') return this.#candidate.set(path, this.#hasDiscarded);
    if (verb === 'delete') return this.#candidate.delete(path);
    return 'NoMatch\n';
  }

  #changes(): readonly Change[] {
    return this.#options.diffutils === '3.8' ? [] : this.#candidate.changesFrom(this.#active);
  }

  #commit(): Promise<string> {
    return this.#locked(async () => {
      const missing = this.#candidate.mandatoryError;
      if (missing !== undefined) return missing;
      const changes = this.#changes();
      if (changes.length === 0) return '';
      const timeMs = this.#commitTimeMs();
      if (timeMs > 0) await this.#clock.sleep(timeMs);
      for (const subscriber of this.#subscribers) {
        await this.#send(
          subscriber,
          subscriber.paths.flatMap((prefix) => changes.filter(({ path }) => startsWith(path, prefix))),
        );
      }
      // Taken from the candidate as it is by now: what was set while a subscriber was waited for is
      // active without ever having been sent (openconfigd, config/subscribe.go).
      this.#active = this.#candidate.copy();
      return '';
    });
  }

  #commitTimeMs(): number {
    const entries = this.#candidate.entryCount;
    return (this.#options.commitTimeScale ?? 0) * (60 + 0.003 * entries ** 2);
  }

  /** Maps that nothing guards (config/grpc.go); a command keeps the port its module had when it came. */
  #register(request: RegisterRequest | RegisterModuleRequest): void {
    if (this.#isRegistering) {
      this.#crash = 'fatal error: concurrent map writes: two Register calls at once';
      this.stop();
      return;
    }
    this.#isRegistering = true;
    this.registered.push(request);
  }

  #registerDone(answer: () => void): void {
    this.#isRegistering = false;
    answer();
  }

  #doConfig(stream: ConfigStream): void {
    const gone = (): void => {
      this.#subscribers = this.#subscribers.filter((subscriber) => subscriber.stream !== stream);
    };
    stream.on('error', gone);
    stream.on('cancelled', gone);
    stream.on('end', () => {
      gone();
      stream.end();
    });
    stream.on('data', (request: ConfigRequest) => {
      if (request.type === ConfigType.SUBSCRIBE) void this.#subscribe(stream, request);
      else if (request.type === ConfigType.API_CALL_FINISHED) this.#apiCallFinished();
    });
  }

  #subscribe(stream: ConfigStream, { module, path }: ConfigRequest): Promise<void> {
    return this.#locked(async () => {
      const known = this.#subscribers.find((subscriber) => subscriber.stream === stream);
      const subscriber = known ?? { stream, module, paths: [] };
      if (known === undefined) this.#subscribers.push(subscriber);
      subscriber.paths.push(path);
      await this.#send(
        subscriber,
        this.#active
          .paths()
          .filter((leaf) => startsWith(leaf, path))
          .map((leaf) => ({ isSet: true, path: leaf })),
      );
    });
  }

  /** One COMMIT; nothing at all when the subscriber has no change. */
  async #send({ stream }: Subscriber, changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return;
    const finished = this.#waitsForSync() ? this.#awaitSync() : undefined;
    stream.write(replyOf(ConfigType.COMMIT_START));
    for (const { isSet, path } of changes) {
      stream.write(replyOf(isSet ? ConfigType.SET : ConfigType.DELETE, path));
    }
    stream.write(replyOf(ConfigType.COMMIT_END));
    await finished;
  }

  #waitsForSync(): boolean {
    return this.release === '0.8.2' || this.release === '0.8.3';
  }

  async #awaitSync(): Promise<void> {
    const ended = new AbortController();
    const sync = { isClosed: false, release: (): void => undefined };
    this.#sync = sync;
    const released = new Promise<void>((resolve) => {
      sync.release = resolve;
    });
    const timeout = this.#clock.sleep(API_SYNC_MS, { signal: ended.signal }).catch(() => undefined);
    await Promise.race([released, timeout]);
    ended.abort();
    this.#sync = undefined;
  }

  #apiCallFinished(): void {
    if (this.#sync === undefined) return;
    if (this.#sync.isClosed) {
      this.#crash = 'panic: close of closed channel: API_CALL_FINISHED twice for one COMMIT';
      this.stop();
      return;
    }
    this.#sync.isClosed = true;
    // A goroutine has to run before the channel is forgotten; a second message in between kills it.
    setTimeout(this.#sync.release, 2);
  }

  #locked<T>(work: () => T | Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  #mustSet(line: string): void {
    const reply = this.#active.set(line.replace(/^set /, '').split(' '));
    if (reply !== 'Success') throw new Error(`configuration of the fake: ${line}: ${reply}`);
  }
}

function startsWith(path: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((name, at) => name === path[at]);
}

function replyOf(type: number, path: readonly string[] = []): ConfigReply {
  return { result: 0, type, path, json: '' };
}

function textOf(changes: readonly Change[]): string {
  return changes.map(({ isSet, path }) => `${isSet ? '+' : '-'}set ${path.join(' ')}\n`).join('');
}
