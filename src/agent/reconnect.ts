import pRetry from 'p-retry';
import { AgentError, type Clock } from '../util/index.ts';

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 2_000;

export type KeepConnectedOptions = { readonly clock: Clock; readonly signal: AbortSignal };

/**
 * Opens a connection and uses it, forever: when it cannot be opened, or has ended, again
 * after a pause that grows with every failure in a row and is short after one that
 * worked. Returns when the signal aborts.
 *
 * @param connect one connection's life; calls `established` when it works
 * @param onLost why there is none now
 * @throws whatever `connect` throws that is not an AgentError: a bug
 */
export async function keepConnected(
  connect: (established: () => void) => Promise<void>,
  onLost: (reason: string) => void,
  { clock, signal }: KeepConnectedOptions,
): Promise<void> {
  const connectOnce = async (): Promise<void> => {
    let wasEstablished = false;
    try {
      await connect(() => {
        wasEstablished = true;
      });
      throw new AgentError('the connection was closed', { code: 'unavailable', retryable: true });
    } catch (error) {
      if (!(error instanceof AgentError) || signal.aborted) throw error;
      onLost(error.message);
      // One that worked ends this row of failures.
      if (!wasEstablished) throw error;
    }
  };
  try {
    for (;;) {
      await pRetry(connectOnce, {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: FIRST_DELAY_MS,
        maxTimeout: LONGEST_DELAY_MS,
        randomize: true,
        shouldRetry: ({ error }) => error instanceof AgentError,
        signal,
      });
      await clock.sleep(FIRST_DELAY_MS, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
