import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { errorMessage, type Logger } from '../../util/index.ts';
import { type Path, startsWith } from './changes.ts';
import { CommitAssembler } from './commit-assembler.ts';
import {
  type ConfigReply,
  ConfigType,
  decodeConfigReply,
  encodeConfigRequest,
  encodeRegisterModule,
  type Numbering,
} from './messages.ts';
import type { RegisterCall, Upstream, UpstreamEvents, UpstreamStatus } from './upstream.ts';

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5_000;
const REGISTER_MS = 2_000;

export type OpenconfigdUpstreamOptions = {
  /** host:port */
  readonly target: string;
  readonly numbering: Numbering;
  readonly events: UpstreamEvents;
  readonly logger: Logger;
};

type Request = { readonly type: number; readonly module: string; readonly path: Path };
type Stream = ClientDuplexStream<Request, ConfigReply>;

type Subscription = { readonly module: string; readonly path: Path; isListed: boolean };

const raw = (bytes: Buffer): Buffer => bytes;

/** A real openconfigd. When it goes away it is connected to again, subscribed and registered as before. */
export class OpenconfigdUpstream implements Upstream {
  readonly #options: OpenconfigdUpstreamOptions;
  readonly #client: Client;
  readonly #subscriptions: Subscription[] = [];
  readonly #registered: RegisterCall[] = [];
  /** One after the other and the module first, as vsw calls: openconfigd takes no two at once. */
  #registering: Promise<unknown> = Promise.resolve();
  #stream: Stream | undefined;
  #isHeard = false;
  #reason = 'not connected yet';
  #delayMs = FIRST_DELAY_MS;
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(options: OpenconfigdUpstreamOptions) {
    this.#options = options;
    this.#client = new Client(options.target, credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': FIRST_DELAY_MS,
      'grpc.max_reconnect_backoff_ms': LONGEST_DELAY_MS,
    });
    this.#connect();
  }

  get status(): UpstreamStatus {
    const { target } = this.#options;
    return this.#isHeard ? { kind: 'connected', target } : { kind: 'lost', target, reason: this.#reason };
  }

  readonly subscribe = (module: string, path: Path): void => {
    this.#subscriptions.push({ module, path, isListed: false });
    this.#stream?.write({ type: ConfigType.SUBSCRIBE, module, path });
  };

  readonly answer = (module: string, type: number): void => {
    this.#stream?.write({ type, module, path: [] });
  };

  readonly register = (call: RegisterCall): Promise<Buffer | undefined> => {
    this.#registered.push(call);
    return this.#isHeard ? this.#registerNext(call) : Promise.resolve(undefined);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    this.#stream?.cancel();
    this.#client.close();
  }

  #connect(): void {
    const { numbering } = this.#options;
    const assembler = new CommitAssembler();
    const stream: Stream = this.#client.makeBidiStreamRequest(
      '/openconfig.Config/DoConfig',
      (request: Request) => encodeConfigRequest(request, numbering),
      decodeConfigReply,
    );
    this.#stream = stream;
    for (const subscription of this.#subscriptions) subscription.isListed = false;
    stream.on('metadata', () => this.#heard(stream));
    stream.on('data', (reply: ConfigReply) => {
      this.#heard(stream);
      const transaction = assembler.push(reply);
      if (transaction === undefined || stream !== this.#stream) return;
      if (transaction.kind === 'validate') this.#options.events.onValidate(transaction.changes);
      else this.#commit(stream, transaction.changes);
    });
    stream.on('error', (error) => this.#lost(stream, error.message));
    stream.on('end', () => this.#lost(stream, 'openconfigd ended the stream'));
    for (const { module, path } of this.#subscriptions) {
      stream.write({ type: ConfigType.SUBSCRIBE, module, path });
    }
    this.#client.waitForReady(Date.now() + LONGEST_DELAY_MS, (error) => {
      if (error === undefined) this.#heard(stream);
    });
  }

  /** The first sign of life of a connection. */
  #heard(stream: Stream): void {
    if (stream !== this.#stream || this.#isHeard) return;
    this.#isHeard = true;
    this.#delayMs = FIRST_DELAY_MS;
    this.#options.logger.info({ openconfigd: this.#options.target }, 'openconfigd connected');
    for (const call of this.#registered) void this.#registerNext(call);
  }

  #lost(stream: Stream, reason: string): void {
    if (stream !== this.#stream || this.#isDisposed) return;
    const { logger, target } = this.#options;
    if (this.#isHeard) logger.warn({ openconfigd: target, reason }, 'openconfigd lost, will retry');
    this.#isHeard = false;
    this.#reason = reason;
    this.#stream = undefined;
    this.#timer = setTimeout(() => this.#connect(), this.#delayMs);
    this.#delayMs = Math.min(2 * this.#delayMs, LONGEST_DELAY_MS);
  }

  #commit(stream: Stream, changes: Parameters<UpstreamEvents['onChanges']>[0]): void {
    const { events } = this.#options;
    // The first COMMIT that touches a path since it was subscribed is everything below it: openconfigd lists
    // what it has, and says nothing while it has nothing. It may touch the other path for the first time too.
    const isBelow = (path: Path) => (change: (typeof changes)[number]) => startsWith(change.path, path);
    let rest = changes;
    for (const subscription of this.#subscriptions) {
      const { path, isListed } = subscription;
      const listing = rest.filter(isBelow(path));
      if (isListed || listing.length === 0) continue;
      subscription.isListed = true;
      rest = rest.filter((change) => !isBelow(path)(change));
      events.onListing(path, listing);
    }
    if (rest.length > 0) events.onChanges(rest);
    // vsw never says so, and openconfigd 0.8.2 and later wait 20 s for it; once a COMMIT, a second one kills it.
    const module = this.#subscriptions[0]?.module ?? '';
    stream.write({ type: ConfigType.API_CALL_FINISHED, module, path: [] });
  }

  #registerNext(call: RegisterCall): Promise<Buffer | undefined> {
    const registering = this.#registering.then(() =>
      this.#isHeard && !this.#isDisposed ? this.#register(call) : undefined,
    );
    this.#registering = registering;
    return registering;
  }

  #register(call: RegisterCall): Promise<Buffer | undefined> {
    const { numbering, logger } = this.#options;
    const [method, bytes] =
      call.kind === 'command'
        ? (['DoRegister', call.request] as const)
        : (['DoRegisterModule', encodeRegisterModule(call.request, numbering)] as const);
    return new Promise((resolve) => {
      const deadline = Date.now() + REGISTER_MS;
      this.#client.makeUnaryRequest(
        `/openconfig.Register/${method}`,
        raw,
        raw,
        bytes,
        { deadline },
        (error, reply) => {
          if (error !== null)
            logger.debug({ method, reason: errorMessage(error) }, 'openconfigd: not registered');
          resolve(error === null ? reply : undefined);
        },
      );
    });
  }
}
