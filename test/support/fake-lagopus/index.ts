/**
 * FakeLagopus: a router as docs of its behaviour describe it, on real sockets: an openconfigd, and a vsw
 * that subscribes to it, or to whatever stands in its place.
 *
 *     await using openconfigd = await FakeOpenconfigd.start({ config: routerConfig('vrf1') });
 *     await using vsw = await FakeVsw.start({ server: openconfigd.address });
 *
 * Invariants: it knows nothing of src/vsw; a fact that it plays is named by a test beside it; what the
 * facts leave open follows the sources of lagopus/vsw and coreswitch/openconfigd, named where it does.
 */
export type { EspPacket, InnerPacket, Received, Sent } from './forwarding.ts';
export { NonceLog } from './nonce-log.ts';
export { FakeOpenconfigd, type OpenconfigdOptions, type Release } from './openconfigd.ts';
export { homedRouterConfig, routerConfig } from './router-samples.ts';
export { SaState, type SaValues } from './sa.ts';
export { slotOf } from './slots.ts';
export { FakeVsw, type ListedSa, type VswOptions } from './vsw.ts';
