/**
 * The gRPC server that vsw subscribes to in openconfigd's place.
 *
 * From: openconfigd or a router file, and the driver's own commits. To: vsw's stream Config.DoConfig; vsw's
 * Register calls go the other way.
 *
 * Invariants: a transaction is written whole; vsw's stream is never ended from here; upstream's
 * `security ipsec` does not reach vsw, and ours does not reach upstream; nothing is injected before vsw
 * has its network instances; after an interruption upstream's difference is passed on, and nothing when
 * it says nothing; a tunnel interface of a vsw that has started is closed until it is opened.
 */
export type { Change } from './changes.ts';
export type { Numbering } from './messages.ts';
export { deafAdvice, Relay, type RelayOptions, type RelayStatus } from './relay.ts';
export { parseRouterFile } from './static-upstream.ts';
