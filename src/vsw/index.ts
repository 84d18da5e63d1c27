/**
 * A server of lagopus.ipsec.v1 for an unmodified Lagopus router (vsw): `ipsec-agent vsw`.
 *
 * From: a client of the contract, and the router's own configuration. To: vsw's stream of configuration
 * (relay) and its PF_KEY socket of each VRF (pfkey); which SPIs go beside each other is in slots.
 *
 * Invariants: docs/design/vsw.md. Above all: an operation is answered when PF_KEY shows it; no SA takes
 * another one's slot; nothing comes back with an old key.
 */
export { type VswConfig, vswConfigSchema } from './config.ts';
export { formatVswStatus } from './driver/status-text.ts';
export { startVsw, VswDriver, type VswStatus } from './driver/vsw-driver.ts';
