import { AgentError, type Clock, type Logger } from '../util/index.ts';
import { type BackOffOptions, backOffMs } from './back-off.ts';
import type { DataplanePort } from './ports.ts';

export type WriterRoleOptions = {
  readonly dataplane: Pick<DataplanePort, 'acquireWriter'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly backOff: BackOffOptions;
};

export type TakeOptions = {
  /** Asked before every try, and after the last one. */
  readonly isWanted: () => boolean;
  readonly onFailed: (reason: string) => void;
  readonly signal: AbortSignal;
};

/** The right to write for our owner: taking it fences whatever was sent before and got no answer. */
export class WriterRole {
  readonly #options: WriterRoleOptions;
  #failure: string | undefined;
  /**
   * How often the role may be taken back: a call that got no answer, ours or that of the agent before
   * us, may arrive late and fence whoever has it by then.
   */
  #retakes = 0;

  constructor(options: WriterRoleOptions) {
    this.#options = options;
  }

  /** Why it could not be taken, since that was last begun. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** There is a connection, on which nothing was sent yet. */
  connected(): void {
    this.#retakes = 1;
  }

  /** Somebody has it now: whether that may be a late call of an agent that is no more, once for each. */
  mayTakeBack(): boolean {
    if (this.#retakes === 0) return false;
    this.#retakes -= 1;
    return true;
  }

  /** Tries until it works; false when it is no longer wanted. */
  async take({ isWanted, onFailed, signal }: TakeOptions): Promise<boolean> {
    const { dataplane, clock, logger, backOff } = this.#options;
    this.#failure = undefined;
    for (let attempts = 1; isWanted(); attempts += 1) {
      try {
        await dataplane.acquireWriter({ signal });
        return isWanted();
      } catch (error) {
        if (!(error instanceof AgentError) || signal.aborted) throw error;
        this.#retakes += 1;
        if (!isWanted()) return false;
        if (attempts === 1) logger.warn({ error: error.message }, 'cannot take the writer role, will retry');
        this.#failure = error.message;
        onFailed(error.message);
        await clock.sleep(backOffMs(attempts, backOff), { signal });
      }
    }
    return false;
  }
}
