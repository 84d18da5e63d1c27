import { formatSpi, type IpsecProtocol, type PolicyUser, type Spi } from '../sad/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { TunnelControl } from './ports.ts';

/**
 * When to look, from the failure on; several times because a busy IKE_SA is not listed. Not before
 * charon's plugin has ended the CHILD_SA itself, by an expiry that has charon create it anew: one
 * that is terminated over VICI does not come back.
 */
const CHECK_AFTER_MS = [2_000, 3_000, 5_000] as const;

export type SwitchWatchOptions = {
  readonly tunnels: TunnelControl;
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  readonly logger: Logger;
  /** Whether an outbound policy leads to this SA by now. */
  readonly isSwitched: (protocol: IpsecProtocol, spi: Spi) => boolean;
};

/**
 * charon (5.9.8) ends a CHILD_SA whose outbound policy fails at first setup, but in a rekey
 * it logs the failure and goes on, with an SA that nothing is sent through. This waits for
 * charon to make up its mind and ends a CHILD_SA that stayed.
 */
export class SwitchWatch {
  readonly #options: SwitchWatchOptions;
  readonly #watched = new Set<Spi>();
  #terminated = 0;

  constructor(options: SwitchWatchOptions) {
    this.#options = options;
  }

  /** CHILD_SAs ended so far. */
  get terminated(): number {
    return this.#terminated;
  }

  /** To be called when `user` was refused; ignores all but a policy that switches to an SA. */
  refused({ id, action }: PolicyUser): void {
    if (id.direction !== 'outbound' || action.kind !== 'protect') return;
    const { spi, protocol } = action.template;
    if (spi !== undefined) this.watch({ protocol, spi });
  }

  /** To be called for an outbound SA to which no policy leads. */
  watch(sa: { readonly protocol: IpsecProtocol; readonly spi: Spi }): void {
    if (this.#watched.has(sa.spi)) return;
    this.#watched.add(sa.spi);
    this.#options.tasks.spawn(async (signal) => {
      try {
        await this.#follow(sa, signal);
      } finally {
        this.#watched.delete(sa.spi);
      }
    });
  }

  async #follow(
    sa: { readonly protocol: IpsecProtocol; readonly spi: Spi },
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, logger } = this.#options;
    const startMs = clock.now();
    for (const afterMs of CHECK_AFTER_MS) {
      await clock.sleep(Math.max(0, startMs + afterMs - clock.now()), { signal });
      try {
        if (await this.#isDone(sa, signal)) return;
      } catch (error) {
        if (!(error instanceof AgentError) || signal.aborted) throw error;
        logger.warn({ spi: formatSpi(sa.spi), error: error.message }, 'cannot check a failed switch');
      }
    }
  }

  async #isDone(
    { protocol, spi }: { readonly protocol: IpsecProtocol; readonly spi: Spi },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { tunnels, logger, isSwitched } = this.#options;
    if (isSwitched(protocol, spi)) return true;
    const children = await tunnels.listChildSas({ signal });
    const child = children.find(
      ({ outboundSpi, protocol: listed, state }) =>
        outboundSpi === spi && listed === protocol && state === 'INSTALLED',
    );
    if (child === undefined) return false;
    logger.warn(
      { spi: formatSpi(spi), child: child.name, childId: child.childId },
      'terminating a CHILD_SA without an outbound policy',
    );
    await tunnels.terminateChildSa(child, { signal });
    this.#terminated += 1;
    return true;
  }
}
