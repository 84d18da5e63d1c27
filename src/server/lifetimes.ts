/** setTimeout takes no more than 31 bits. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export type LifetimeEnd = 'soft' | 'hard';

/** Time lifetimes of installed SAs, counted from when `start` is called. */
export class Lifetimes<Sa> {
  readonly #onEnd: (sa: Sa, end: LifetimeEnd) => void;
  readonly #timers = new Map<Sa, Map<LifetimeEnd, NodeJS.Timeout>>();

  constructor(onEnd: (sa: Sa, end: LifetimeEnd) => void) {
    this.#onEnd = onEnd;
  }

  /** 0 is no limit. */
  start(sa: Sa, seconds: { readonly soft: bigint; readonly hard: bigint }): void {
    const timers = new Map<LifetimeEnd, NodeJS.Timeout>();
    this.#timers.set(sa, timers);
    this.#arm(sa, timers, 'soft', Number(seconds.soft) * 1000);
    this.#arm(sa, timers, 'hard', Number(seconds.hard) * 1000);
  }

  stop(sa: Sa): void {
    for (const timer of this.#timers.get(sa)?.values() ?? []) clearTimeout(timer);
    this.#timers.delete(sa);
  }

  stopAll(): void {
    for (const sa of [...this.#timers.keys()]) this.stop(sa);
  }

  #arm(sa: Sa, timers: Map<LifetimeEnd, NodeJS.Timeout>, end: LifetimeEnd, leftMs: number): void {
    if (leftMs <= 0) return;
    const delayMs = Math.min(leftMs, MAX_DELAY_MS);
    const onTimeout = (): void => {
      if (leftMs > delayMs) this.#arm(sa, timers, end, leftMs - delayMs);
      else this.#onEnd(sa, end);
    };
    timers.set(end, setTimeout(onTimeout, delayMs));
  }
}
