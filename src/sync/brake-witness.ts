import type { SaId } from '../sad/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import { type BackOffOptions, backOffMs } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { TunnelControl } from './ports.ts';

/** What two complete listings say of SAs that the brake holds. */
export type Testimony = {
  /** In neither. */
  readonly unlisted: readonly SaId[];
  readonly listed: readonly SaId[];
};

export type BrakeWitnessOptions = {
  readonly tunnels: Pick<TunnelControl, 'listAllChildSas'>;
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  readonly logger: Logger;
  readonly backOff: BackOffOptions;
  /** Between two listings that agree. */
  readonly spacingMs: number;
  readonly onTestimony: (testimony: Testimony) => void;
};

/** Asks charon itself, over VICI, about SAs that the brake holds, until it holds none. */
export class BrakeWitness {
  readonly #options: BrakeWitnessOptions;
  #held: readonly SaId[] = [];
  #isAsking = false;

  constructor(options: BrakeWitnessOptions) {
    this.#options = options;
  }

  /** What the brake holds now. */
  setHeld(ids: readonly SaId[]): void {
    this.#held = ids;
    if (ids.length === 0 || this.#isAsking) return;
    this.#isAsking = true;
    this.#options.tasks.spawn(async (signal) => {
      try {
        await this.#ask(signal);
      } finally {
        this.#isAsking = false;
      }
    });
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { clock, logger, backOff, spacingMs, onTestimony } = this.#options;
    for (let attempts = 1; this.#held.length > 0; attempts += 1) {
      try {
        const first = await this.#listed(signal);
        await clock.sleep(spacingMs, { signal });
        const second = await this.#listed(signal);
        if (first !== undefined && second !== undefined) {
          const listed = new Set([...first, ...second]);
          const isListed = (id: SaId): boolean => listed.has(spiKey(id));
          onTestimony({
            unlisted: this.#held.filter((id) => !isListed(id)),
            listed: this.#held.filter(isListed),
          });
        }
      } catch (error) {
        if (!(error instanceof AgentError) || signal.aborted) throw error;
        if (attempts === 1) {
          logger.warn({ error: error.message }, 'cannot ask charon about held deletions, will retry');
        }
      }
      await clock.sleep(backOffMs(attempts, backOff), { signal });
    }
  }

  /** Undefined: the listing was not complete. */
  async #listed(signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
    const { children, isComplete } = await this.#options.tunnels.listAllChildSas({ signal });
    if (!isComplete) return undefined;
    const listed = new Set<string>();
    for (const { protocol, inboundSpi, outboundSpi } of children) {
      if (inboundSpi !== undefined) listed.add(spiKey({ direction: 'inbound', protocol, spi: inboundSpi }));
      if (outboundSpi !== undefined)
        listed.add(spiKey({ direction: 'outbound', protocol, spi: outboundSpi }));
    }
    return listed;
  }
}

/** VICI's listing names an SA's peer by its IKE_SA only: of SAs with one SPI all are taken for listed. */
function spiKey({ direction, protocol, spi }: Pick<SaId, 'direction' | 'protocol' | 'spi'>): string {
  return `${direction} ${protocol} ${spi}`;
}
