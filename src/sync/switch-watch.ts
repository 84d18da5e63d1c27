import { formatSpi, type PolicyUser } from '../sad/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { TunnelControl } from './ports.ts';

/** When to look, after the refusal; several times because a busy IKE_SA is not listed. */
const CHECK_AFTER_MS = [500, 1_000, 2_000] as const;

export type SwitchWatchOptions = {
  readonly tunnels: TunnelControl;
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  readonly logger: Logger;
};

/**
 * charon (5.9.8) ends a CHILD_SA whose outbound policy is refused at first setup, but in a
 * rekey it logs the failure and goes on, with an SA that nothing is sent through. This
 * waits for charon to make up its mind and ends a CHILD_SA that stayed.
 */
export class SwitchWatch {
  readonly #options: SwitchWatchOptions;
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
    if (spi === undefined) return;
    const { tunnels, clock, tasks, logger } = this.#options;
    tasks.spawn(async (signal) => {
      const startMs = clock.now();
      for (const afterMs of CHECK_AFTER_MS) {
        await clock.sleep(Math.max(0, startMs + afterMs - clock.now()), { signal });
        try {
          const children = await tunnels.listChildSas({ signal });
          const child = children.find(
            (candidate) =>
              candidate.outboundSpi === spi &&
              candidate.protocol === protocol &&
              candidate.state === 'INSTALLED',
          );
          if (child === undefined) continue;
          logger.warn(
            { spi: formatSpi(spi), child: child.name, childId: child.childId },
            'terminating a CHILD_SA whose outbound policy was refused',
          );
          await tunnels.terminateChildSa(child, { signal });
          this.#terminated += 1;
          return;
        } catch (error) {
          if (!(error instanceof AgentError) || signal.aborted) throw error;
          logger.warn(
            { spi: formatSpi(spi), error: error.message },
            'cannot check a refused switch, will retry',
          );
        }
      }
    });
  }
}
