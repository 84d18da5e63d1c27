/** vsw hands its SAD and SPD to the forwarding cores once in so long. */
export const TICK_MS = 1_000;

/** What is pushed is in force so much later at the latest. */
const PUSH_MS = 50;

/** What is in vsw is in force so much later at the latest. */
export const PUSHED_MS = TICK_MS + PUSH_MS;

/** A commit of one entry is applied after 31 ms at most, on a real vsw; one of 200 after 200 ms. */
const APPLY_MS = 100;
const APPLY_ENTRY_MS = 1;

/** So long after vsw was told so many things at once they are in force: applied, ticked, pushed. */
export function effectiveMs(entries: number): number {
  return APPLY_MS + entries * APPLY_ENTRY_MS + PUSHED_MS;
}

/** A deleted SPI is not used again, nor its slot, before its deletion was pushed for sure. */
export const REUSE_MS = 2 * TICK_MS;

/** A commit shows after 31 ms at most on a real vsw; of 100 SAs and policies after 200 ms. */
export const VISIBLE_MS = 1_500;

export const MATURE_MS = 2 * TICK_MS + VISIBLE_MS;

/** The longest an operation usually takes: an outbound policy waits for its SA's tick, and for its own. */
export const ACK_LATENCY_US = 2 * effectiveMs(1) * 1_000;
