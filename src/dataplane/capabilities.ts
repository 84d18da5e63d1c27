import { Feature, type GetCapabilitiesResponse } from '../proto/index.ts';
import type { Algorithms } from './algorithms.ts';
import { MAX_BATCH } from './applier.ts';
import { supportedFeatures } from './features.ts';
import { MAX_REPLAY_WINDOW, MIN_SPI, supportedModes, supportedProtocols } from './sa-request.ts';

/**
 * An operation is effective when the call that brought it returns; what it may wait for is a slice of
 * packet work and the batch before it.
 */
const ACK_LATENCY_US = 5_000;

export function capabilities({
  algorithms,
  hasIpv6,
  ...options
}: {
  readonly algorithms: Algorithms;
  /** Whether outer packets may be IPv6. */
  readonly hasIpv6: boolean;
  readonly bootId: Buffer;
  readonly maxSas: number;
  readonly maxPolicies: number;
  readonly routeInterface: string;
  readonly vrfs: string[];
}): GetCapabilitiesResponse {
  return {
    ...options,
    server: 'lagopus-ipsec-agent dataplane',
    encryption: [...algorithms.encryption],
    integrity: [...algorithms.integrity],
    protocols: [...supportedProtocols],
    modes: [...supportedModes],
    features: supportedFeatures.filter((feature) => hasIpv6 || feature !== Feature.FEATURE_IPV6_OUTER),
    maxReplayWindow: MAX_REPLAY_WINDOW,
    ackLatencyUs: ACK_LATENCY_US,
    spi: { min: MIN_SPI, max: 0xffffffff, mustReserve: false },
    maxBatch: MAX_BATCH,
    waitsForInSync: false,
  };
}
