import { KeyfeedConnection } from '../keyfeed/index.ts';
import type { DataplaneEvent, Readiness, SyncEngine, UsageReport } from '../sync/index.ts';
import type { Clock, Logger } from '../util/index.ts';
import { createFeedHandler } from './feed-handler.ts';
import type { LinkStatus } from './link-status.ts';
import { keepConnected } from './reconnect.ts';
import { SoftExpiries } from './soft-expiries.ts';
import { feedEvent, feedUsage } from './usage-feed.ts';
import type { VrfOf } from './vrf-rules.ts';

export type CharonLinkOptions = {
  readonly socketPath: string;
  readonly server: string;
  readonly engine: Pick<SyncEngine, 'replaceDesired' | 'handle' | 'change' | 'setupFailed' | 'readiness'>;
  readonly vrfOf: VrfOf;
  readonly probe: () => Promise<void>;
  readonly status: LinkStatus;
  readonly clock: Clock;
  readonly logger: Logger;
};

/**
 * The connection to charon's plugin, opened again and again. Each one starts with a
 * snapshot; until the engine has it, nothing is told to charon.
 */
export class CharonLink {
  readonly #options: CharonLinkOptions;
  /** Set while charon may be told things. */
  #connection: KeyfeedConnection | undefined;
  #softExpiries = new SoftExpiries();

  constructor(options: CharonLinkOptions) {
    this.#options = options;
  }

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await keepConnected(
      (established) => this.#connect(established, signal),
      (reason) => this.#options.status.lost(reason),
      { clock: this.#options.clock, signal },
    );
  }

  /** Whether requests can be answered: passed on to charon. */
  readiness(readiness: Readiness): void {
    if (readiness.kind === 'ready') {
      const { routeInterface, ackLatencyUs } = readiness;
      this.#connection?.ready({ routeInterface, ackLatencyUs });
    } else {
      this.#connection?.notReady(readiness.reason);
    }
  }

  usage(usage: UsageReport): void {
    if (this.#connection !== undefined) feedUsage(this.#connection, usage, this.#softExpiries);
  }

  event(event: DataplaneEvent): void {
    if (this.#connection !== undefined) feedEvent(this.#connection, event, this.#softExpiries);
  }

  async #connect(established: () => void, signal: AbortSignal): Promise<void> {
    const { socketPath: path, server, engine, vrfOf, probe, status, clock, logger } = this.#options;
    await using connection = await KeyfeedConnection.open({ path, server, signal });
    const { ageMs } = connection.hello;
    const handler = createFeedHandler({
      ...{ engine, vrfOf, probe, logger },
      charonInstanceId: connection.hello.instance,
      charonStartedMs: ageMs === undefined ? undefined : clock.now() - Number(ageMs),
      onSnapshot: () => {
        established();
        this.#connection = connection;
        this.#softExpiries = new SoftExpiries();
        status.connected(connection.hello.server);
        this.readiness(engine.readiness);
      },
    });
    try {
      await connection.serve(handler, { signal });
    } finally {
      this.#connection = undefined;
    }
  }
}
