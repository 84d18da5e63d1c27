/** vsw hands its SAD and SPD to the forwarding cores once in so long. */
export const TICK_MS = 1_000;

/** What is pushed is in force so much later at the latest. */
const PUSH_MS = 50;

/** After so long what vsw was told, and applied, is in force. */
export const EFFECTIVE_MS = TICK_MS + PUSH_MS;

/** A deleted SPI is not used again, nor its slot, before its deletion was pushed for sure. */
export const REUSE_MS = 2 * TICK_MS;

/** A commit shows after 31 ms at most on a real vsw; of 100 SAs and policies after 200 ms. */
export const VISIBLE_MS = 1_500;

export const MATURE_MS = 2 * TICK_MS + VISIBLE_MS;

/** The longest an operation usually takes: an outbound policy waits for its SA's tick, and for its own. */
export const ACK_LATENCY_US = 2 * EFFECTIVE_MS * 1_000;
