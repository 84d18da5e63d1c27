import type { SaId } from '../sad/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import { type BackOffOptions, backOffMs } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { ChildSaView, TunnelControl } from './ports.ts';

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
  /** What charon was told exists. */
  readonly desired: () => Iterable<SaId>;
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
          // Those that charon told of account for as many of the listed ones.
          const told = countSpis(this.#options.desired());
          const isListed = (id: SaId): boolean => {
            const key = spiKey(id);
            return Math.max(first.get(key) ?? 0, second.get(key) ?? 0) > (told.get(key) ?? 0);
          };
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
  async #listed(signal: AbortSignal): Promise<SpiCounts | undefined> {
    const { children, isComplete } = await this.#options.tunnels.listAllChildSas({ signal });
    return isComplete ? countSpis(children.flatMap(sasOf)) : undefined;
  }
}

/** VICI's listing names an SA's peer by its IKE_SA only. */
type ListedSa = Pick<SaId, 'direction' | 'protocol' | 'spi'>;

/** How many SAs have one SPI: peers draw outbound ones, each for itself. */
type SpiCounts = ReadonlyMap<string, number>;

function sasOf({ protocol, inboundSpi, outboundSpi }: ChildSaView): readonly ListedSa[] {
  const sas: ListedSa[] = [];
  if (inboundSpi !== undefined) sas.push({ direction: 'inbound', protocol, spi: inboundSpi });
  if (outboundSpi !== undefined) sas.push({ direction: 'outbound', protocol, spi: outboundSpi });
  return sas;
}

function spiKey({ direction, protocol, spi }: ListedSa): string {
  return `${direction} ${protocol} ${spi}`;
}

function countSpis(sas: Iterable<ListedSa>): SpiCounts {
  const counts = new Map<string, number>();
  for (const sa of sas) counts.set(spiKey(sa), (counts.get(spiKey(sa)) ?? 0) + 1);
  return counts;
}
