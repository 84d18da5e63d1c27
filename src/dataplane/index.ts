/**
 * The embedded software dataplane: a server of lagopus.ipsec.v1 that encrypts and decrypts packets
 * between a TUN device and raw sockets. RFC 4303 ESP, tunnel mode, IPv4.
 *
 * From: a client of the contract. To: packets, through native/.
 *
 * Invariants: docs/design/dataplane.md. Above all: a packet nothing was said about is dropped; what
 * cannot be done is refused with its reason; an operation is effective when its answer is sent.
 */
export { type DataplaneConfig, dataplaneConfigSchema } from './config.ts';
export { Dataplane, startDataplane } from './dataplane.ts';
export { createEngine, type NativeEngine } from './native.ts';
