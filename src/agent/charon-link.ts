import { KeyfeedConnection } from '../keyfeed/index.ts';
import type { DataplaneEvent, Readiness, SyncEngine, Usage } from '../sync/index.ts';
import type { Clock, Logger } from '../util/index.ts';
import { createFeedHandler } from './feed-handler.ts';
import type { LinkStatus } from './link-status.ts';
import { keepConnected } from './reconnect.ts';
import { feedEvent, feedUsage } from './usage-feed.ts';

export type CharonLinkOptions = {
  readonly socketPath: string;
  readonly server: string;
  readonly engine: Pick<SyncEngine, 'replaceDesired' | 'handle' | 'change' | 'setupFailed' | 'readiness'>;
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

  usage(usage: Usage): void {
    if (this.#connection !== undefined) feedUsage(this.#connection, usage);
  }

  event(event: DataplaneEvent): void {
    if (this.#connection !== undefined) feedEvent(this.#connection, event);
  }

  async #connect(established: () => void, signal: AbortSignal): Promise<void> {
    const { socketPath: path, server, engine, probe, status, clock, logger } = this.#options;
    await using connection = await KeyfeedConnection.open({ path, server, signal });
    const { ageMs } = connection.hello;
    const handler = createFeedHandler({
      ...{ engine, probe, logger },
      charonInstanceId: connection.hello.instance,
      charonStartedMs: ageMs === undefined ? undefined : clock.now() - Number(ageMs),
      onSnapshot: () => {
        established();
        this.#connection = connection;
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
