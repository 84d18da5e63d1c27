import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { type Clock, systemClock } from '../../../src/util/index.ts';
import { NonceLog } from './nonce-log.ts';
import { type PfkeyMessage, PfkeyServer } from './pfkey-server.ts';
import { type ConfigChange, RouterConfig } from './router-config.ts';
import { SaState, type SaValues, stateOf } from './sa.ts';
import type { HeldSp } from './sp-manager.ts';
import { Vrf } from './vrf.ts';
import {
  type ConfigReply,
  type ConfigRequest,
  ConfigType,
  configReply,
  configRequest,
  type Numbering,
  registerModuleReply,
  registerModuleRequest,
  registerReply,
  registerRequest,
} from './wire.ts';

export type VswOptions = {
  /** Where vsw.conf's server_host and server_port point: openconfigd, or a relay before it. */
  readonly server: string;
  readonly numbering?: Numbering;
  /** Between COMMIT_END and the SAD; PF_KEY showed 2.5 to 31 ms. */
  readonly applyDelayMs?: number;
  /** On top of it, for each line of the commit: 100 SAs and 100 SPs took 200 ms. */
  readonly applyMsPerLine?: number;
  /** 0: only when a test calls `tick`. */
  readonly tickMs?: number;
  /** Where each VRF's PF_KEY socket goes; without it there is none. */
  readonly pfkeyPath?: (vrf: string) => string;
  /** After each PF_KEY message that it handled, and answered. */
  readonly onPfkey?: (type: number) => void;
  readonly clock?: Clock;
  /** Of the orders that Go's maps take. */
  readonly seed?: number;
  /** Whether a tick gives the policies to the cores before the SAs; else one in eight does, as its tasks are in a map. */
  readonly arePoliciesFirst?: () => boolean;
  /** Between the two, which is 2 to 5 ms. */
  readonly onHalfTick?: () => void;
};

export type ListedSa = {
  readonly vrf: string;
  readonly spi: number;
  readonly state: number;
  readonly values: SaValues;
  /** Whether the forwarding cores hold it: pushed, and not displaced. */
  readonly isInstalled: { readonly inbound: boolean; readonly outbound: boolean };
};

const REGISTERED_COMMANDS = 30;
/** A Go map of two is walked from one of eight places on (modules/tunnel/tick/tick.go). */
const POLICIES_FIRST_ODDS = 1 / 8;

/**
 * vsw: a client of Config.DoConfig that never reconnects, its SADs and SPDs, and a tick per second to
 * the forwarding cores. It dies of what kills a real one, and comes back empty.
 */
export class FakeVsw implements AsyncDisposable {
  /** Shared by all lives of this router. */
  readonly nonces = new NonceLog();
  readonly log: string[] = [];
  readonly #options: VswOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  #vrfs = new Map<string, Vrf>();
  #config: RouterConfig;
  readonly #pfkey = new Map<string, PfkeyServer>();
  #client: Client | undefined;
  #stream: ClientDuplexStream<ConfigRequest, ConfigReply> | undefined;
  #ticker: NodeJS.Timeout | undefined;
  /** Pending while paused. */
  #running: Promise<void> = Promise.resolve();
  #resume: (() => void) | undefined;
  #commits: Promise<void> = Promise.resolve();
  #sockets: Promise<void> = Promise.resolve();
  #life = new AbortController();
  #crash: string | undefined;
  #commitCount = 0;

  private constructor(options: VswOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = randomOf(options.seed ?? 1);
    this.#config = this.#newConfig();
  }

  static async start(options: VswOptions): Promise<FakeVsw> {
    const vsw = new FakeVsw(options);
    await vsw.boot();
    return vsw;
  }

  /** Why it died, when it did. */
  get crash(): string | undefined {
    return this.#crash;
  }

  get isRunning(): boolean {
    return !this.#life.signal.aborted;
  }

  /** Deaf: running, but without a stream, for good. */
  get isSubscribed(): boolean {
    return this.#stream !== undefined;
  }

  /** COMMITs applied since it booted. */
  get commitCount(): number {
    return this.#commitCount;
  }

  hasVrf(name: string): boolean {
    return this.#vrfs.has(name);
  }

  vrf(name: string): Vrf {
    const vrf = this.#vrfs.get(name);
    if (vrf === undefined) throw new Error(`vsw has no VRF ${name}`);
    return vrf;
  }

  /** Every SA of every VRF with its keys, mature or not. */
  sas(): readonly ListedSa[] {
    return [...this.#vrfs.values()].flatMap((vrf) =>
      vrf.inbound.list().flatMap(({ spi, values, stage }) => {
        if (values === undefined) return [];
        const isInstalled = {
          inbound: vrf.forwarding.installed('inbound').includes(spi),
          outbound: vrf.forwarding.installed('outbound').includes(spi),
        };
        return [{ vrf: vrf.name, spi, state: stateOf(stage), values, isInstalled }];
      }),
    );
  }

  matureSpis(vrf: string): readonly number[] {
    return this.sas()
      .filter((sa) => sa.vrf === vrf && sa.state === SaState.MATURE)
      .map(({ spi }) => spi);
  }

  policies(vrf: string): readonly HeldSp[] {
    return this.vrf(vrf).policies.list();
  }

  /** Its connection to the server breaks: it runs on, and never subscribes again. */
  cutStream(): void {
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  /** A restart of the process: everything is gone but what the server sends on subscription. */
  async restart(): Promise<void> {
    this.stop();
    await this.boot();
  }

  stop(): void {
    this.#life.abort();
    this.resume();
    clearInterval(this.#ticker);
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#client?.close();
    this.#client = undefined;
    for (const server of this.#pfkey.values()) server[Symbol.dispose]();
    this.#pfkey.clear();
    this.#vrfs = new Map();
    this.#config = this.#newConfig();
  }

  /** Starts from nothing: subscribes, registers its commands. Without a server it is deaf at once. */
  async boot(): Promise<void> {
    this.#life = new AbortController();
    this.#crash = undefined;
    this.#commitCount = 0;
    this.#commits = Promise.resolve();
    const tickMs = this.#options.tickMs ?? 1000;
    if (tickMs !== 0) this.#ticker = setInterval(() => this.tick(), tickMs);
    const numbering = this.#options.numbering ?? '0.8.3';
    const request = configRequest[numbering];
    const client = new Client(this.#options.server, credentials.createInsecure());
    this.#client = client;
    const stream = client.makeBidiStreamRequest(
      '/openconfig.Config/DoConfig',
      request.encode,
      configReply.decode,
    );
    this.#stream = stream;
    this.#listen(stream);
    const send = (path: readonly string[]): void => {
      stream.write({ type: ConfigType.SUBSCRIBE, module: 'config', host: '', port: 0, subtype: 0, path });
    };
    send(['interfaces', 'interface']);
    send(['network-instances', 'network-instance']);
    try {
      await this.#register(client, numbering);
    } catch (error) {
      this.log.push(`registering the show commands failed: ${String(error)}`);
    }
  }

  /** SIGSTOP: connections stay, nothing is answered, applied or pushed until `resume`. */
  pause(): void {
    if (this.#resume !== undefined) return;
    this.#running = new Promise((resolve) => {
      this.#resume = resolve;
    });
    for (const server of this.#pfkey.values()) server.pause();
  }

  /** What came meanwhile is done now, in its order. */
  resume(): void {
    this.#resume?.();
    this.#resume = undefined;
    for (const server of this.#pfkey.values()) server.resume();
  }

  /** The one-second tick, once a tunnel interface was open: lifetimes, upcalls, and changed databases to the forwarding cores. */
  tick(): void {
    if (this.#resume !== undefined || !this.#config.isTicking) return;
    const shuffle = <T>(all: readonly T[]): readonly T[] =>
      all
        .map((item) => ({ item, at: this.#random() }))
        .sort((a, b) => a.at - b.at)
        .map(({ item }) => item);
    const tasks = [(): void => this.#tickSas(shuffle), (): void => this.#tickPolicies()];
    const arePoliciesFirst =
      this.#options.arePoliciesFirst ?? ((): boolean => this.#random() < POLICIES_FIRST_ODDS);
    const [first, second] = arePoliciesFirst() ? tasks.reverse() : tasks;
    first?.();
    this.#options.onHalfTick?.();
    second?.();
  }

  /** Resolves once every COMMIT that has arrived is applied. */
  async applied(): Promise<void> {
    await this.#commits;
    await this.#sockets;
  }

  /** What came over a VRF's PF_KEY socket since vsw booted. */
  pfkeyMessages(vrf: string): readonly PfkeyMessage[] {
    return this.#pfkey.get(vrf)?.received ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }

  #tickSas(shuffle: <T>(all: readonly T[]) => readonly T[]): void {
    for (const vrf of this.#vrfs.values()) {
      const upcalls = vrf.tickSas(this.#nowMs(), shuffle);
      // To the sockets of all VRFs: the connections are in one list.
      for (const upcall of upcalls) for (const server of this.#pfkey.values()) server.broadcast(upcall);
    }
  }

  #tickPolicies(): void {
    for (const vrf of this.#vrfs.values()) vrf.tickPolicies();
  }

  #newConfig(): RouterConfig {
    return new RouterConfig({
      vrf: (name) => {
        const vrf = this.#vrfs.get(name) ?? new Vrf(name, this.nonces);
        this.#vrfs.set(name, vrf);
        return vrf;
      },
      findVrf: (name) => this.#vrfs.get(name),
      deleteVrf: (name) => {
        this.#vrfs.delete(name);
      },
      startIpsec: (vrf) => this.#startIpsec(vrf),
      nowMs: () => this.#nowMs(),
      crash: (reason) => this.#die(reason),
      log: (line) => this.log.push(line),
    });
  }

  /** Never 0, which means none. */
  #nowMs(): number {
    return this.#clock.now() + 1;
  }

  #startIpsec(vrf: Vrf): void {
    const path = this.#options.pfkeyPath?.(vrf.name);
    if (path === undefined) return;
    const life = this.#life.signal;
    const ports = {
      nowMs: () => this.#nowMs(),
      random: this.#random,
      crash: (reason: string) => this.#die(reason),
      onHandled: this.#options.onPfkey,
    };
    this.#sockets = this.#sockets.then(async () => {
      const server = await PfkeyServer.listen(path, vrf, ports);
      if (life.aborted) server[Symbol.dispose]();
      else this.#pfkey.set(vrf.name, server);
    });
  }

  #die(reason: string): void {
    this.stop();
    this.#crash = reason;
  }

  #listen(stream: ClientDuplexStream<ConfigRequest, ConfigReply>): void {
    let changes: ConfigChange[] = [];
    const life = this.#life.signal;
    const lost = (): void => {
      if (this.#stream === stream) this.#stream = undefined;
    };
    stream.on('error', lost);
    stream.on('end', lost);
    stream.on('data', ({ type, path }: ConfigReply) => {
      switch (type) {
        case ConfigType.COMMIT_START:
        case ConfigType.VALIDATE_START:
          // A second start drops what came before.
          changes = [];
          break;
        case ConfigType.SET:
        case ConfigType.DELETE:
          changes.push({ isSet: type === ConfigType.SET, path });
          break;
        case ConfigType.VALIDATE_END: {
          // It is content with everything, and always says so.
          const verdict = { type: ConfigType.VALIDATE_SUCCESS, module: 'config', path: [] };
          stream.write({ ...verdict, host: '', port: 0, subtype: 0 });
          break;
        }
        case ConfigType.COMMIT_END: {
          const whole = changes;
          this.#commits = this.#commits.then(() => this.#apply(whole, life));
          break;
        }
      }
    });
  }

  async #apply(changes: readonly ConfigChange[], life: AbortSignal): Promise<void> {
    const { applyDelayMs = 0, applyMsPerLine = 0 } = this.#options;
    const delayMs = applyDelayMs + applyMsPerLine * changes.length;
    if (delayMs > 0) await this.#clock.sleep(delayMs);
    await this.#running;
    if (life.aborted) return;
    this.#commitCount++;
    this.#config.commit(changes);
  }

  async #register(client: Client, numbering: Numbering): Promise<void> {
    const call = <Q, R>(
      method: string,
      encode: (message: Q) => Buffer,
      decode: (bytes: Buffer) => R,
      message: Q,
    ): Promise<R> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(`/openconfig.Register/${method}`, encode, decode, message, (error, reply) =>
          error !== null || reply === undefined ? reject(error) : resolve(reply),
        );
      });
    await call('DoRegisterModule', registerModuleRequest[numbering].encode, registerModuleReply.decode, {
      module: 'showServer',
      port: '2653',
    });
    for (let at = 0; at < REGISTERED_COMMANDS; at++) {
      await call('DoRegister', registerRequest.encode, registerReply.decode, {
        name: 'show-vsw',
        module: 'showServer',
        mode: 'exec',
        line: `show vsw ${at}`,
        privilege: 1,
        code: 6,
      });
    }
  }
}

/** Numbers in [0, 1) that are the same every time (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
