import { AgentError } from '../util/index.ts';

/** An answer is worth waiting for so long. */
const PATIENCE_MS = 2_000;

/**
 * Asks somebody who may not be there: undefined then, and the reason goes to `onFailure`.
 *
 * @throws what `ask` throws that is no AgentError: a bug
 */
export async function askIfPossible<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  options: { readonly signal: AbortSignal; readonly onFailure?: (reason: string) => void },
): Promise<T | undefined> {
  try {
    return await ask(AbortSignal.any([options.signal, AbortSignal.timeout(PATIENCE_MS)]));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    options.onFailure?.(error.message);
    return undefined;
  }
}
