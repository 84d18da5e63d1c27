/**
 * lagopus: the client of the contract lagopus.ipsec.v1.
 *
 * From: operations and listings as sad and sync have them. To: a dataplane's gRPC server,
 * on a unix socket, or TCP with mutual TLS.
 *
 * Invariants: what an SA or policy needs is in its required_features. A call ends by its
 * deadline. A batch is never sent twice; one without an answer has an unknown outcome.
 * Copies of keys are wiped as soon as they are encoded.
 */
export type { ConnectionState } from './connection-state.ts';
export type { DataplaneTarget, TlsFiles } from './credentials.ts';
export type { DataplaneStatus, SpiSlots } from './decode-status.ts';
export { LagopusDataplane, type LagopusDataplaneOptions } from './lagopus-dataplane.ts';
export { type SuperviseOptions, superviseDataplane } from './supervise.ts';
