import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { ContractServer, createService, listen, RequestError } from '../../server/index.ts';
import { type Clock, errorMessage, type Logger, systemClock } from '../../util/index.ts';
import { DEFAULT_OPENCONFIGD, pfkeySocketOf, type RelayConfig, relayOf, type VswConfig } from '../config.ts';
import { MessageType, type PfkeyMessage } from '../pfkey/index.ts';
import { Relay, type RelayOptions, type RelayStatus } from '../relay/index.ts';
import { Boot, type SlotUse } from './boot.ts';
import { Journal, type JournalEntries } from './journal.ts';
import { PfkeyLink } from './pfkey-link.ts';
import { PfkeyPolicies } from './pfkey-policies.ts';
import { PfkeySurface } from './pfkey-surface.ts';
import { defaultDiscard, RelaySurface } from './relay-surface.ts';
import { statusNotes } from './status-notes.ts';
import { StatusServer } from './status-server.ts';
import type { Surface } from './surface.ts';

const BOOT_ID_BYTES = 16;
/** A vsw that ended closes its PF_KEY sockets sooner than that, and one that started subscribes. */
const DEAF_MS = 1_000;
const RETRY_MS = 500;

export type VswStatus = {
  readonly via: VswConfig['via'];
  /** What vsw needs before anything can be installed; undefined when nothing. */
  readonly problem: string | undefined;
  /** With `via: relay`: vsw runs and does not listen, so that it is told through PF_KEY. */
  readonly isDeaf: boolean;
  readonly relay: RelayStatus | undefined;
  readonly pfkey: readonly { readonly vrf: string; readonly problem: string | undefined }[];
  readonly sas: number;
  readonly policies: number;
  readonly slots: readonly SlotUse[];
};

/**
 * Through the relay what an earlier life left is taken over only from a vsw that is deaf, and is gone when that
 * is restarted: a journal that was cut off keeps nobody from starting.
 */
function readJournal({ journal, via }: VswConfig, logger: Logger): JournalEntries {
  try {
    return Journal.read(journal);
  } catch (error) {
    if (via === 'pfkey') throw error;
    logger.warn({ path: journal, reason: errorMessage(error) }, 'the journal cannot be read, begins anew');
    return Journal.nothing;
  }
}

/** Serves the contract for a vsw, through each of its lives. */
export class VswDriver implements AsyncDisposable {
  readonly #config: VswConfig;
  readonly #logger: Logger;
  readonly #clock: Clock = systemClock;
  readonly #server: ContractServer;
  readonly #statusServer: StatusServer;
  readonly #links: ReadonlyMap<string, PfkeyLink>;
  readonly #journal: Journal;
  readonly #policies: PfkeyPolicies;
  /** What an earlier life of this process, or the last boot, left in a vsw that may still run. */
  #left: JournalEntries;
  #relay: Relay | undefined;
  #boot: Boot | undefined;
  #isBooting = false;
  /** How many lives of vsw have ended. */
  #losses = 0;
  #deafTimer: NodeJS.Timeout | undefined;
  /** A vsw that would subscribe has had the time to. */
  #hasWaited = false;
  #problem = 'starting';
  #disposal: Promise<void> | undefined;

  private constructor(config: VswConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.#left = readJournal(config, logger);
    this.#journal = new Journal(
      config.journal,
      () => this.#boot?.entries() ?? this.#left,
      (reason) => logger.error({ path: config.journal, reason }, 'the journal cannot be written'),
    );
    this.#policies = new PfkeyPolicies((vrf) => this.#linkOf(vrf), this.#clock);
    this.#links = new Map(
      config.vrfs.map((name) => [
        name,
        new PfkeyLink({
          vrf: name,
          path: pfkeySocketOf(config, name),
          logger,
          onUp: () => this.#onPfkeyUp(),
          onDown: (reason) => this.#onPfkeyDown(name, reason),
          onUpcall: (message) => this.#onUpcall(name, message),
        }),
      ]),
    );
    this.#server = new ContractServer(createService({ backend: () => this.#backend(), logger }));
    this.#statusServer = new StatusServer(() => this.status);
  }

  /** @throws AgentError saying what cannot be opened and why */
  static async start(config: VswConfig, logger: Logger): Promise<VswDriver> {
    const driver = new VswDriver(config, logger);
    try {
      const relay = relayOf(config);
      if (relay !== undefined) driver.#relay = await Relay.start(driver.#relayOptions(relay));
      else logger.warn('no relay: nothing keeps the tunnel interfaces of vsw closed until SAs are there');
      await driver.#statusServer.listen(config.statusSocket);
      await listen(driver.#server.grpc, config);
      logger.info({ listen: config.listen, via: config.via, relay: driver.#relay?.port }, 'vsw driver ready');
      return driver;
    } catch (error) {
      await driver[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where vsw subscribes; undefined without a relay. */
  get relayPort(): number | undefined {
    return this.#relay?.port;
  }

  get status(): VswStatus {
    return {
      via: this.#config.via,
      problem: this.#boot === undefined ? this.#why() : undefined,
      isDeaf: this.#config.via === 'relay' && this.#boot?.through === 'pfkey',
      relay: this.#relay?.status,
      pfkey: [...this.#links.values()].map(({ vrf, isUp, problem }) => ({
        vrf,
        problem: isUp ? undefined : problem,
      })),
      sas: this.#boot?.saCount ?? 0,
      policies: this.#boot?.policyCount ?? 0,
      slots: this.#boot?.slotUse ?? [],
    };
  }

  /** Ends streams and lets calls finish. What is in vsw stays there and forwards. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  #relayOptions(relay: RelayConfig): RelayOptions {
    const { listen: address, openconfigd, messages, routerFile, holdTunnels } = relay;
    const numberings = { 'as-vsw': 'as-vsw', '0.8.0-0.8.2': 'old', '0.8.3': 'new' } as const;
    return {
      listen: address,
      upstream:
        routerFile === undefined
          ? {
              kind: 'openconfigd',
              target: openconfigd ?? DEFAULT_OPENCONFIGD,
              numbering: numberings[messages],
            }
          : { kind: 'file', path: routerFile },
      holdTunnels,
      onReady: () => this.#onStreamReady(),
      onLost: (reason) => this.#onStreamLost(reason),
      logger: this.#logger,
    };
  }

  #linkOf(vrf: string): PfkeyLink {
    const link = this.#links.get(vrf);
    if (link === undefined) throw new Error(`no VRF ${vrf}`);
    return link;
  }

  #backend(): Boot['backend'] {
    if (this.#boot !== undefined) return this.#boot.backend;
    throw new RequestError(status.UNAVAILABLE, this.#why());
  }

  #why(): string {
    if (this.#config.via === 'relay' && this.#relay?.isReady === false) {
      const { vsw } = this.#relay.status;
      if (vsw === 'subscribed') return 'vsw has no network instances yet: its configuration has not come';
      const what = vsw === 'lost' ? 'vsw ended, or is deaf' : 'vsw has not subscribed';
      const { length } = this.#left.sas;
      const left =
        length === 0 ? '' : `; until then a vsw that still runs forwards with the ${length} SAs it has`;
      return `${what}: ${this.#relay.deafAdvice}${left}`;
    }
    const down = [...this.#links.values()].find(({ isUp }) => !isUp);
    if (down === undefined) return this.#problem;
    if (this.#relay?.hasNetworkInstance(down.vrf) === false) {
      return `the router's configuration has no network instance ${down.vrf}: add it, or take it out of vrfs`;
    }
    return `PF_KEY of ${down.vrf}: ${down.problem} (vsw opens it once the VRF has an interface with \`security ipsec\`)`;
  }

  #onPfkeyUp(): void {
    this.#beginIfDeaf();
    this.#begin();
    this.#boot?.surveySlots();
  }

  #onStreamReady(): void {
    if (this.#config.via === 'relay' && this.#boot?.through === 'pfkey') this.#finish('vsw subscribed again');
    this.#begin();
  }

  #onStreamLost(reason: string): void {
    // With `via: pfkey` it is PF_KEY that tells whether vsw still has what it had.
    if (this.#config.via !== 'relay') return;
    this.#finish(reason);
    this.#beginIfDeaf();
  }

  #onPfkeyDown(vrf: string, reason: string): void {
    // Told through its stream, it is vsw's stream that tells that. One that is only being taken over may be gone.
    if (this.#boot?.through !== 'relay') this.#finish(`PF_KEY of ${vrf}: ${reason}`);
  }

  /** How vsw can be told now, if its PF_KEY is there. */
  get #through(): VswConfig['via'] | undefined {
    if (this.#config.via === 'pfkey') return 'pfkey';
    if (this.#relay?.isReady === true) return 'relay';
    const vsw = this.#relay?.status.vsw;
    const isDeaf = this.#hasWaited && (vsw === 'never-subscribed' || vsw === 'lost');
    return isDeaf ? 'pfkey' : undefined;
  }

  /** A vsw that runs, as its PF_KEY shows, and does not subscribe in time never does. */
  #beginIfDeaf(): void {
    this.#hasWaited = false;
    clearTimeout(this.#deafTimer);
    this.#deafTimer = setTimeout(() => {
      this.#hasWaited = true;
      this.#begin();
    }, DEAF_MS);
    this.#deafTimer.unref();
  }

  #onUpcall(vrf: string, message: PfkeyMessage): void {
    const kind = message.type === MessageType.acquire ? 'acquire' : 'expire';
    this.#logger.debug({ vrf, kind, spi: message.sa?.spi.toString(16) }, 'upcall of vsw');
  }

  /** vsw is there with everything that is needed, for all we know. */
  #begin(): void {
    const through = this.#through;
    const isUp = [...this.#links.values()].every((link) => link.isUp);
    if (this.#boot !== undefined || this.#isBooting || through === undefined || !isUp) return;
    if (this.#disposal !== undefined) return;
    this.#isBooting = true;
    this.#start(through)
      .catch((error: unknown) => {
        this.#problem = errorMessage(error);
        this.#logger.warn({ reason: this.#problem }, 'vsw cannot be taken over, will retry');
        setTimeout(() => this.#begin(), RETRY_MS).unref();
      })
      .finally(() => {
        this.#isBooting = false;
      });
  }

  async #start(through: VswConfig['via']): Promise<void> {
    const losses = this.#losses;
    const surface = await this.#surface(through);
    const dumps = new Map<string, readonly PfkeyMessage[]>();
    try {
      for (const link of this.#links.values()) dumps.set(link.vrf, await link.dump());
      if (this.#losses !== losses || this.#through !== through || this.#disposal !== undefined) {
        throw new Error('vsw came or went meanwhile');
      }
      this.#takeOver(through, surface, dumps);
    } catch (error) {
      for (const message of [...dumps.values()].flat()) {
        message.encryptionKey?.wipe();
        message.integrityKey?.wipe();
      }
      throw error;
    }
  }

  #takeOver(
    through: VswConfig['via'],
    surface: Surface,
    dumps: ReadonlyMap<string, readonly PfkeyMessage[]>,
  ): void {
    // A vsw that subscribes has started, with nothing of ours.
    if (through === 'relay') this.#left = Journal.nothing;
    const left = this.#left;
    const hasOurs = [...dumps.values()].some((dump) =>
      dump.some(({ sa }) => left.sas.some((entry) => entry.sa.id?.spi === sa?.spi)),
    );
    const boot = new Boot({
      ...{ via: this.#config.via, through, surface },
      bootId: hasOurs && left.bootId.length > 0 ? left.bootId : randomBytes(BOOT_ID_BYTES),
      links: this.#links,
      clock: this.#clock,
      eventHistory: this.#config.eventHistory,
      surveySeconds: this.#config.surveySeconds,
      waitsForInSync: this.#relay?.holdsTunnels ?? false,
      isHeld: () => this.#relay?.isHeld === true,
      onInSync: () => this.#relay?.openTunnels(),
      notes: () => statusNotes(this.status),
      onChange: () => this.#journal.touch(),
      logger: this.#logger,
    });
    try {
      for (const [vrf, dump] of dumps) boot.adopt(vrf, dump, left);
      boot.adoptPolicies(left, { areThere: hasOurs });
    } catch (error) {
      boot[Symbol.dispose]();
      throw error;
    }
    boot.watchSlots();
    this.#boot = boot;
    this.#journal.touch();
    const fields = {
      ...{ bootId: boot.backend.bootId.toString('hex'), through },
      ...{ sas: boot.saCount, policies: boot.policyCount },
    };
    if (through === this.#config.via) this.#logger.info(fields, 'vsw taken over');
    else
      this.#logger.error(
        { ...fields, advice: this.#relay?.deafAdvice },
        'vsw is deaf: SAs and policies go on through PF_KEY, the router’s own configuration does not',
      );
  }

  async #surface(through: VswConfig['via']): Promise<Surface> {
    const policies = this.#policies;
    const { vrfs, via } = this.#config;
    if (through === 'relay' && this.#relay !== undefined) {
      // Those of a stream are gone with the vsw that had them.
      policies.clear();
      const surface = new RelaySurface(this.#relay, policies);
      for (const vrf of vrfs) await surface.closeByDefault(vrf);
      return surface;
    }
    if (via === 'relay') for (const vrf of vrfs) policies.adopt(defaultDiscard(vrf));
    return new PfkeySurface((vrf) => this.#linkOf(vrf), policies);
  }

  #finish(reason: string): void {
    this.#losses += 1;
    this.#problem = reason;
    const boot = this.#boot;
    if (boot === undefined) return;
    this.#left = boot.entries();
    this.#boot = undefined;
    boot[Symbol.dispose]();
    this.#logger.warn({ reason }, 'vsw lost: its SAs and policies are gone, or out of reach');
  }

  async #dispose(): Promise<void> {
    this.#journal.close();
    clearTimeout(this.#deafTimer);
    const boot = this.#boot;
    this.#left = boot?.entries() ?? this.#left;
    this.#boot = undefined;
    boot?.[Symbol.dispose]();
    for (const link of this.#links.values()) link[Symbol.dispose]();
    await this.#server.close();
    await this.#relay?.[Symbol.asyncDispose]();
    await this.#statusServer[Symbol.asyncDispose]();
  }
}

/**
 * Serves the contract until the signal is aborted.
 * @throws AgentError when it cannot start
 */
export async function startVsw(
  config: VswConfig,
  options: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { logger, signal } = options;
  await using driver = await VswDriver.start(config, logger);
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }
  logger.info({ sas: driver.status.sas, policies: driver.status.policies }, 'vsw driver stopping');
}
