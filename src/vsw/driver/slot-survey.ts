import { errorMessage, type Logger } from '../../util/index.ts';
import type { SlotTable } from '../slots/index.ts';
import type { PfkeyLink } from './pfkey-link.ts';

export type SlotSurveyOptions = {
  readonly links: readonly PfkeyLink[];
  readonly slotsOf: (vrf: string) => SlotTable;
  readonly isOurs: (vrf: string, spi: number) => boolean;
  /** Others come and go unseen for so long. */
  readonly periodMs: number;
  readonly logger: Logger;
};

function formatSpi(spi: number): string {
  return spi.toString(16).padStart(8, '0');
}

/**
 * Takes the slots of SAs in vsw that are not of this driver (an operator's, through PF_KEY), so that they
 * and ours do not displace each other. It listens on a connection of its own: an SPI that somebody reserved
 * with GETSPI ends a connection that lists it.
 */
export class SlotSurvey implements Disposable {
  readonly #options: SlotSurveyOptions;
  /** What was said last, by VRF. */
  readonly #said = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #isDisposed = false;

  constructor(options: SlotSurveyOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.run(), this.#options.periodMs);
  }

  run(): void {
    if (this.#isRunning || this.#isDisposed) return;
    this.#isRunning = true;
    void this.#run().finally(() => {
      this.#isRunning = false;
    });
  }

  /** What was found in a VRF that is not ours. */
  note(vrf: string, foreign: readonly number[]): void {
    const contested = this.#options.slotsOf(vrf).setForeign(foreign);
    const saying = JSON.stringify([[...foreign].sort(), contested]);
    const before = this.#said.get(vrf) ?? '[[],[]]';
    this.#said.set(vrf, saying);
    if (saying === before) return;
    const { logger } = this.#options;
    const fields = { vrf, foreign: foreign.map(formatSpi) };
    if (contested.length > 0) {
      logger.error(
        { ...fields, sharing: contested.map((pair) => pair.map(formatSpi)) },
        'SAs that are not ours share slots with ours, and vsw keeps one of each two: delete them',
      );
      return;
    }
    logger.warn(fields, 'vsw holds SAs that are not ours: their slots are taken, they are left alone');
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearInterval(this.#timer);
  }

  async #run(): Promise<void> {
    const { links, isOurs, logger } = this.#options;
    for (const link of links) {
      if (!link.isUp) continue;
      try {
        const spis = await link.survey();
        if (this.#isDisposed) return;
        this.note(
          link.vrf,
          spis.filter((spi) => !isOurs(link.vrf, spi)),
        );
      } catch (error) {
        logger.debug(
          { vrf: link.vrf, reason: errorMessage(error) },
          'vsw’s SAs cannot be listed, will retry',
        );
      }
    }
  }
}
