import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again until the answer is neither undefined, false nor an exception.
 *
 * @throws Error naming `what`, with the last exception as its cause, after `timeoutMs`.
 */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  options: { readonly timeoutMs?: number; readonly intervalMs?: number } = {},
): Promise<Exclude<T, undefined | false>> {
  const { timeoutMs = 10_000, intervalMs = 20 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let lastError: unknown;
    try {
      const answer = await ask();
      if (isAnswer(answer)) return answer;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: lastError });
    }
    await sleep(intervalMs);
  }
}

function isAnswer<T>(answer: T): answer is Exclude<T, undefined | false> {
  return answer !== undefined && answer !== false;
}
