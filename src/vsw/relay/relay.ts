import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { AgentError, errorMessage, type Logger } from '../../util/index.ts';
import { type Change, ConfigMirror, isIpsecChange, type Path, startsWith } from './changes.ts';
import { messagesOf, type Transaction } from './commit-assembler.ts';
import {
  type ConfigReply,
  type ConfigRequest,
  ConfigType,
  decodeConfigRequest,
  decodeRegisterModule,
  encodeConfigReply,
  type Numbering,
} from './messages.ts';
import { OpenconfigdUpstream } from './openconfigd-upstream.ts';
import { StaticUpstream } from './static-upstream.ts';
import { TunnelGate } from './tunnel-gate.ts';
import type { RegisterCall, Upstream, UpstreamEvents, UpstreamStatus } from './upstream.ts';

export type RelayOptions = {
  /** host:port that vsw.conf names as openconfig server. */
  readonly listen: string;
  readonly upstream:
    | { readonly kind: 'openconfigd'; readonly target: string; readonly numbering: Numbering | 'as-vsw' }
    | { readonly kind: 'file'; readonly path: string };
  /** Keeps tunnel interfaces closed in a vsw that has started, until `openTunnels`. */
  readonly holdTunnels: boolean;
  /** vsw has its network instances and takes what is injected. */
  readonly onReady: () => void;
  /** vsw's stream ended: whatever it held is gone, or it is deaf. */
  readonly onLost: (reason: string) => void;
  readonly logger: Logger;
};

export type RelayStatus = {
  readonly vsw: 'never-subscribed' | 'subscribed' | 'ready' | 'lost';
  readonly upstream: UpstreamStatus | undefined;
  /** Upstream's `security ipsec` lines that were kept from vsw. */
  readonly filteredChanges: number;
  /** Tunnel interfaces that are kept closed. */
  readonly heldTunnels: readonly string[];
};

type VswStream = ServerDuplexStream<ConfigRequest, ConfigReply>;

const NETWORK_INSTANCES: Path = ['network-instances', 'network-instance'];
/** vsw subscribes within a second of its start. */
const SILENCE_MS = 15_000;

const raw = (bytes: Buffer): Buffer => bytes;

function method<Kind extends boolean>(path: string, isStream: Kind) {
  return { path, requestStream: isStream, responseStream: isStream } as const;
}

const configService = {
  DoConfig: {
    ...method('/openconfig.Config/DoConfig', true),
    requestSerialize: raw,
    requestDeserialize: decodeConfigRequest,
    responseSerialize: encodeConfigReply,
    responseDeserialize: raw,
  },
} as const;

const rawMessages = {
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
} as const;

const registerService = {
  DoRegister: { ...method('/openconfig.Register/DoRegister', false), ...rawMessages },
  DoRegisterModule: { ...method('/openconfig.Register/DoRegisterModule', false), ...rawMessages },
} as const;

/** What to do about a vsw that does not listen. */
export function deafAdvice(listen: string): string {
  return (
    `vsw.conf has to name ${listen} as server_host and server_port of [openconfig], and vsw has to be ` +
    '(re)started after this process: it subscribes once, when it starts'
  );
}

/** Stands between vsw and its openconfigd, in openconfigd's place. */
export class Relay implements AsyncDisposable {
  readonly #options: RelayOptions;
  readonly #server = new Server();
  readonly #mirror = new ConfigMirror();
  readonly #gate = new TunnelGate();
  readonly #silence: NodeJS.Timeout;
  #upstream: Upstream | undefined;
  #vsw: VswStream | undefined;
  #isReady = false;
  #wasSubscribed = false;
  #filteredChanges = 0;
  #port = 0;

  private constructor(options: RelayOptions) {
    this.#options = options;
    this.#server.addService(configService, { DoConfig: (stream: VswStream) => this.#accept(stream) });
    this.#server.addService(registerService, {
      DoRegister: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) =>
        this.#register({ kind: 'command', request: call.request }, answer),
      DoRegisterModule: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) =>
        this.#register({ kind: 'module', request: decodeRegisterModule(call.request) }, answer),
    });
    this.#silence = setTimeout(() => {
      if (!this.#wasSubscribed) {
        options.logger.error({ advice: deafAdvice(options.listen) }, 'vsw has not subscribed');
      }
    }, SILENCE_MS);
    this.#silence.unref();
  }

  /** @throws AgentError when it cannot listen */
  static async start(options: RelayOptions): Promise<Relay> {
    const relay = new Relay(options);
    try {
      await relay.#listen();
    } catch (cause) {
      await relay[Symbol.asyncDispose]();
      throw new AgentError(
        `cannot listen on ${options.listen} for vsw: ${errorMessage(cause)}; is another ipsec-agent vsw, or ` +
          'openconfigd itself, there?',
        { code: 'busy', cause },
      );
    }
    return relay;
  }

  /** Where it listens. */
  get port(): number {
    return this.#port;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get holdsTunnels(): boolean {
    return this.#options.holdTunnels;
  }

  /** A vsw that subscribed has no tunnel interface open yet. */
  get isHeld(): boolean {
    return this.#isReady && !this.#gate.isOpen;
  }

  /** What to do about a vsw that does not listen. */
  get deafAdvice(): string {
    return deafAdvice(this.#options.listen);
  }

  get status(): RelayStatus {
    const vsw = this.#isReady
      ? 'ready'
      : this.#vsw !== undefined
        ? 'subscribed'
        : this.#wasSubscribed
          ? 'lost'
          : 'never-subscribed';
    return {
      vsw,
      upstream: this.#upstream?.status,
      filteredChanges: this.#filteredChanges,
      heldTunnels: this.#gate.held,
    };
  }

  /**
   * Has vsw apply a commit of ours; there is no answer, success shows in PF_KEY only.
   * @throws AgentError while vsw takes none
   */
  inject(changes: readonly Change[]): void {
    if (!this.#isReady) {
      throw new AgentError(`vsw takes no configuration: ${deafAdvice(this.#options.listen)}`, {
        code: 'unavailable',
        retryable: true,
      });
    }
    this.#write({ kind: 'commit', changes });
  }

  /** Until another vsw subscribes. Of one that is deaf they stay as they are. */
  openTunnels(): void {
    if (this.#vsw === undefined) return;
    const held = this.#gate.open();
    if (held.length === 0) return;
    this.#write({ kind: 'commit', changes: held });
    this.#options.logger.info({ tunnels: held.map(({ path }) => path[2]) }, 'tunnel interfaces opened');
  }

  /** Whether upstream has told of a network instance of this name. */
  hasNetworkInstance(name: string): boolean {
    return this.#mirror.below([...NETWORK_INSTANCES, name]).length > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#silence);
    if (this.#vsw !== undefined) {
      this.#options.logger.warn(
        { advice: deafAdvice(this.#options.listen) },
        'stopping: vsw is deaf from now on, whatever is configured, until it is restarted',
      );
    }
    await this.#upstream?.[Symbol.asyncDispose]();
    this.#server.forceShutdown();
  }

  async #listen(): Promise<void> {
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(this.#options.listen, ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  }

  /** A vsw has started. It never reconnects, so that a second stream is another vsw, or a second life of it. */
  #accept(stream: VswStream): void {
    const { logger } = this.#options;
    if (this.#vsw !== undefined) this.#lose(this.#vsw, 'another vsw subscribed');
    this.#vsw = stream;
    this.#wasSubscribed = true;
    if (this.#options.holdTunnels) this.#gate.close();
    else this.#gate.open();
    logger.info({ peer: stream.getPeer() }, 'vsw subscribes');
    void this.#upstream?.[Symbol.asyncDispose]();
    this.#upstream = undefined;
    stream.on('data', (request: ConfigRequest) => {
      if (stream === this.#vsw) this.#take(request);
    });
    const end = (reason: string): void => {
      this.#lose(stream, reason);
      stream.end();
    };
    stream.on('end', () => end('vsw ended its stream'));
    stream.on('cancelled', () => end('vsw ended'));
    stream.on('error', (error) => this.#lose(stream, error.message));
  }

  #lose(stream: VswStream, reason: string): void {
    if (stream !== this.#vsw) return;
    const { logger, onLost, listen } = this.#options;
    this.#vsw = undefined;
    this.#isReady = false;
    logger.error({ reason, advice: deafAdvice(listen) }, 'vsw is gone, or deaf');
    onLost(reason);
  }

  #take({ type, module, path, numbering }: ConfigRequest): void {
    switch (type) {
      case ConfigType.SUBSCRIBE: {
        const cached = this.#mirror.below(path);
        if (cached.length > 0) this.#forward(cached);
        this.#upstream ??= this.#openUpstream(numbering ?? 'new');
        this.#upstream.subscribe(module, path);
        return;
      }
      case ConfigType.VALIDATE_SUCCESS:
      case ConfigType.VALIDATE_FAILED:
        this.#upstream?.answer(module, type);
        return;
      default:
        this.#options.logger.debug({ type }, 'a message of vsw that is not relayed');
    }
  }

  #openUpstream(vswNumbering: Numbering): Upstream {
    const { upstream, logger } = this.#options;
    const events: UpstreamEvents = {
      onListing: (path, changes) => {
        const differing = this.#mirror.replace(path, this.#filter(changes));
        if (differing.length > 0) this.#forward(differing);
      },
      onChanges: (changes) => {
        const kept = this.#filter(changes);
        this.#mirror.apply(kept);
        if (kept.length > 0) this.#forward(kept);
      },
      onValidate: (changes) => {
        // With a vsw that is gone openconfigd would let no commit pass.
        if (this.#vsw === undefined) this.#upstream?.answer('', ConfigType.VALIDATE_SUCCESS);
        else this.#write({ kind: 'validate', changes: this.#filter(changes) });
      },
    };
    if (upstream.kind === 'file') return new StaticUpstream(upstream.path, events, logger);
    const numbering = upstream.numbering === 'as-vsw' ? vswNumbering : upstream.numbering;
    return new OpenconfigdUpstream({ target: upstream.target, numbering, events, logger });
  }

  #filter(changes: readonly Change[]): readonly Change[] {
    const kept = changes.filter((change) => !isIpsecChange(change));
    const dropped = changes.length - kept.length;
    if (dropped > 0) {
      this.#filteredChanges += dropped;
      const example = changes.find(isIpsecChange)?.path.slice(0, 8).join(' ');
      this.#options.logger.warn(
        { dropped, example },
        'upstream `security ipsec` is not passed on: those entries are charon’s',
      );
    }
    return kept;
  }

  /** Upstream stays when vsw went away; the next vsw is told what it said meanwhile from the mirror. */
  #forward(changes: readonly Change[]): void {
    if (this.#vsw === undefined) return;
    this.#write({ kind: 'commit', changes: this.#gate.pass(changes) });
    if (!changes.some(({ path }) => startsWith(path, NETWORK_INSTANCES))) return;
    // vsw enables a tunnel interface only with the commit after the one that made its VRF, be it empty.
    this.#write({ kind: 'commit', changes: [] });
    if (this.#isReady) return;
    this.#isReady = true;
    this.#options.onReady();
  }

  /** Whole: a COMMIT_START in between would have vsw forget the first half. */
  #write(transaction: Transaction): void {
    for (const message of messagesOf(transaction)) this.#vsw?.write(message);
  }

  #register(call: RegisterCall, answer: sendUnaryData<Buffer>): void {
    const known = this.#upstream?.register(call) ?? Promise.resolve(undefined);
    // vsw stops registering on an error, and does not look at what the reply says.
    known
      .then((reply) => answer(null, reply ?? Buffer.alloc(0)))
      .catch((error: unknown) => answer({ details: errorMessage(error) }));
  }
}
