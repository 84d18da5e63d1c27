/** Time and timers, passed in so that tests own them. */
export type Clock = {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Resolves after `delayMs`; rejects with the signal's reason when aborted first. */
  readonly sleep: (delayMs: number, options?: { readonly signal?: AbortSignal | undefined }) => Promise<void>;
};

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (delayMs, options) =>
    new Promise<void>((resolve, reject) => {
      const signal = options?.signal;
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, delayMs);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};
