/**
 * util: what every other folder may use and that knows nothing of IPsec.
 *
 * Invariant: nothing here does I/O of its own but `systemClock` and `loadAddon`.
 */
export { AgentError, type AgentErrorCode, assertNever, errorMessage, InvariantError } from './agent-error.ts';
export { type Clock, systemClock } from './clock.ts';
export { EventQueue, type Gap } from './event-queue.ts';
export { addressBytes, formatAddress, formatIpv4, type IpAddress, isIpv6 } from './ip-address.ts';
export { loadAddon } from './load-addon.ts';
export { type Logger, silentLogger } from './logger.ts';
export { MalformedError } from './malformed-error.ts';
export { SecretBytes } from './secret-bytes.ts';
