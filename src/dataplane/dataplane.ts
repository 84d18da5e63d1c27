import { randomBytes, randomInt } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { ContractServer, createService, EventLog, listen, Revisions, Writers } from '../server/index.ts';
import { AgentError, errorMessage, type Logger, systemClock } from '../util/index.ts';
import { Algorithms } from './algorithms.ts';
import { Applier } from './applier.ts';
import { createAuditLog } from './audit-log.ts';
import { createBackend } from './backend.ts';
import { capabilities } from './capabilities.ts';
import { createClassifier } from './classifier.ts';
import { type DataplaneConfig, devicesOf } from './config.ts';
import { DeviceMtus, LARGEST_MTU } from './device-mtus.ts';
import { Drills } from './drills.ts';
import { sayIfClearComesIn, warnIfRoutesYield, warnOfTap } from './fail-closed.ts';
import { DataplaneMetrics } from './metrics.ts';
import { createEngine, FragmentPolicy, type NativeCallbacks, type NativeEngine } from './native.ts';
import { Reporter } from './reporter.ts';
import { Sad } from './sad.ts';
import { Scopes } from './scopes.ts';
import { Spd } from './spd.ts';
import { SpiReservations } from './spi-reservations.ts';

const BOOT_ID_BYTES = 16;
/** There in a kernel that has IPv6. */
const IPV6 = '/proc/net/if_inet6';
/** Far from the end of an epoch's 64 bits. */
const EPOCH_BYTES = 6;

/** What the engine calls; the parts behind it are made from the engine, after it. */
type LateCallbacks = {
  current: Pick<NativeCallbacks, 'classify' | 'saEvent' | 'acquire' | 'dropped'> | undefined;
};

/** A running dataplane. */
export class Dataplane implements AsyncDisposable {
  /** Rejects with an AgentError when packets can no longer move. */
  readonly failed: Promise<never>;
  readonly #server: ContractServer;
  readonly #stop = new AbortController();
  readonly #reporter: Reporter;
  readonly #engine: NativeEngine;
  readonly #engineClosed: Promise<void>;
  readonly #config: DataplaneConfig;
  readonly #sad: Sad;
  readonly #mtus: DeviceMtus;
  readonly #spd: Spd;
  #disposal: Promise<void> | undefined;

  private constructor(config: DataplaneConfig, logger: Logger) {
    this.#config = config;
    const failure = Promise.withResolvers<never>();
    this.failed = failure.promise;
    // Whoever awaits it sees the rejection; that nobody does yet is no reason to end the process.
    this.failed.catch(() => undefined);
    const closed = Promise.withResolvers<void>();
    this.#engineClosed = closed.promise;

    const late: LateCallbacks = { current: undefined };
    const nothing = new Uint32Array(3);
    this.#engine = createEngine({
      classify: (...packet) => late.current?.classify(...packet) ?? nothing,
      saEvent: (...event) => late.current?.saEvent(...event),
      acquire: (...packet) => late.current?.acquire(...packet),
      dropped: (...packet) => late.current?.dropped(...packet),
      fault: (what, why) => failure.reject(new AgentError(`cannot ${what}: ${why}`, { code: 'unavailable' })),
      closed: closed.resolve,
    });

    // One listener for each watcher.
    setMaxListeners(0, this.#stop.signal);
    const bootId = randomBytes(BOOT_ID_BYTES);
    const { maxSas, maxPolicies, fwmark } = config;
    const hasIpv6 = existsSync(IPV6);
    const algorithms = new Algorithms(this.#engine);
    const scopes = new Scopes(devicesOf(config));
    this.#mtus = new DeviceMtus({
      engine: this.#engine,
      logger,
      devices: devicesOf(config).flatMap(({ mtu }, index) => (mtu === 'auto' ? [index] : [])),
    });
    const sad = new Sad({
      mtus: this.#mtus,
      engine: this.#engine,
      now: systemClock.now,
      maxSas,
      algorithms,
      scopes,
      fwmark,
      hasIpv6,
      encapPort: config.udpEncapPort,
    });
    const spd = new Spd({ engine: this.#engine, sad, scopes, maxPolicies, now: systemClock.now });
    this.#sad = sad;
    this.#spd = spd;
    const events = new EventLog(bootId, config.eventHistory);
    const revisions = new Revisions();
    const writers = new Writers(BigInt(randomBytes(EPOCH_BYTES).readUIntBE(0, EPOCH_BYTES)));
    this.#reporter = new Reporter({ sad, spd, events, revisions, logger });
    late.current = {
      classify: createClassifier(sad, spd),
      saEvent: this.#reporter.onSaEvent,
      acquire: this.#reporter.onAcquire,
      dropped: createAuditLog(logger),
    };
    const applier = new Applier({
      sad,
      spd,
      reservations: new SpiReservations(systemClock, randomInt),
      lifetimes: this.#reporter.lifetimes,
      writers,
      revisions,
      drills: config.drillsFile === undefined ? undefined : new Drills(config.drillsFile, logger),
      logger,
    });
    const backend = createBackend({
      capabilities: capabilities({
        algorithms,
        hasIpv6,
        bootId,
        maxSas,
        maxPolicies,
        routeInterface: config.tun.name,
        vrfs: [...scopes.vrfs],
      }),
      bootId,
      sad,
      spd,
      writers,
      applier,
      events,
      revisions,
      now: systemClock.now,
      stop: this.#stop.signal,
    });
    this.#server = new ContractServer(createService({ backend: () => backend, logger }));
  }

  /**
   * Opens the devices and listens.
   * @throws AgentError saying what cannot be opened and why
   */
  static async start(config: DataplaneConfig, logger: Logger): Promise<Dataplane> {
    const dataplane = new Dataplane(config, logger);
    try {
      dataplane.#openEngine();
      for (const { name } of devicesOf(config)) await warnIfRoutesYield(name, logger);
      await sayIfClearComesIn(logger);
      warnOfTap(config.tap, logger);
      const port = await listen(dataplane.#server.grpc, config);
      const tun = devicesOf(config).map(({ name }) => name);
      logger.info({ listen: config.listen, port, tun }, 'dataplane ready');
      return dataplane;
    } catch (error) {
      await dataplane[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** How many SAs and policies there are. */
  sizes(): { readonly sas: number; readonly policies: number } {
    return { sas: this.#sad.size, policies: this.#spd.size };
  }

  /** Counters of packets that no SA or policy counts. */
  statistics(): Readonly<Record<string, bigint>> {
    return this.#engine.statistics();
  }

  /** Ends streams, lets calls finish, wipes every key and closes the devices; persistent TUN devices stay. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  #openEngine(): void {
    const { tun, fwmark, udpEncapPort, fragment, clampMss, tap } = this.#config;
    const devices = devicesOf(this.#config).map(({ name, mtu }) => ({
      name,
      mtu: mtu === 'auto' ? LARGEST_MTU : mtu,
    }));
    try {
      this.#engine.open({
        devices,
        isPersistent: tun.persist,
        fwmark,
        udpPort: udpEncapPort,
        fragment: FragmentPolicy[fragment],
        clampMss,
        tap,
      });
      this.#mtus.start();
    } catch (cause) {
      throw new AgentError(errorMessage(cause), { code: 'unavailable', cause });
    }
  }

  async #dispose(): Promise<void> {
    this.#stop.abort();
    await this.#server.close();
    this.#reporter.lifetimes.stopAll();
    if (this.#engine.close()) await this.#engineClosed;
  }
}

/** Serves metrics at the address of the configuration. */
export type ServeMetrics = (
  address: string,
  metrics: Pick<DataplaneMetrics, 'render' | 'contentType'>,
  logger: Logger,
) => Promise<AsyncDisposable>;

/**
 * Serves the contract until the signal is aborted.
 * @throws AgentError when it cannot start, or packets can no longer move
 */
export async function startDataplane(
  config: DataplaneConfig,
  options: { readonly logger: Logger; readonly signal: AbortSignal; readonly serveMetrics: ServeMetrics },
): Promise<void> {
  const { logger, signal, serveMetrics } = options;
  await using dataplane = await Dataplane.start(config, logger);
  const metrics = new DataplaneMetrics({
    statistics: () => dataplane.statistics(),
    sizes: () => dataplane.sizes(),
  });
  await using _metrics = config.metrics && (await serveMetrics(config.metrics.listen, metrics, logger));
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([stopped, dataplane.failed]);
  logger.info(
    {
      statistics: Object.fromEntries(Object.entries(dataplane.statistics()).map(([k, v]) => [k, Number(v)])),
    },
    'dataplane stopping',
  );
}
