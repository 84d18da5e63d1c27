import { Feature, type GetCapabilitiesResponse } from '../proto/index.ts';
import type { DataplaneCapabilities } from '../sync/index.ts';

/** For a server that states no limit. */
const DEFAULT_MAX_BATCH = 1_024;

export function decodeCapabilities(message: GetCapabilitiesResponse): DataplaneCapabilities {
  return {
    bootId: message.bootId.toString('hex'),
    server: message.server,
    maxBatch: message.maxBatch === 0 ? DEFAULT_MAX_BATCH : message.maxBatch,
    ackLatencyUs: message.ackLatencyUs,
    routeInterface: message.routeInterface === '' ? undefined : message.routeInterface,
    hasScarceSpis: message.spi?.mustReserve ?? false,
    waitsForInSync: message.waitsForInSync,
    takesReplayState: message.features.includes(Feature.FEATURE_REPLAY_STATE),
  };
}
