import { AgentError } from '../util/index.ts';

/** An answer is worth waiting for so long. */
const PATIENCE_MS = 2_000;

/**
 * Asks somebody who may not be there, or not answer: undefined then, and the reason goes to `onFailure`.
 *
 * @throws what `ask` throws that is no AgentError: a bug, or that `signal` was aborted
 */
export async function askIfPossible<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  options: {
    readonly signal?: AbortSignal;
    readonly patienceMs?: number;
    readonly onFailure?: (reason: string) => void;
  } = {},
): Promise<T | undefined> {
  const { signal, patienceMs = PATIENCE_MS, onFailure } = options;
  const patience = AbortSignal.timeout(patienceMs);
  try {
    return await ask(signal === undefined ? patience : AbortSignal.any([signal, patience]));
  } catch (error) {
    // A call rejects with what its signal was aborted for.
    if (patience.aborted && error === patience.reason) onFailure?.(`no answer within ${patienceMs} ms`);
    else if (error instanceof AgentError) onFailure?.(error.message);
    else throw error;
    return undefined;
  }
}
