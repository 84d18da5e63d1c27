import { type GetCapabilitiesResponse, Mode, Protocol } from '../../proto/index.ts';
import { SLOT_COUNT } from '../slots/index.ts';
import { algorithms, type Via } from './algorithms.ts';
import { MAX_BATCH } from './applier.ts';
import { MIN_SPI, supportedFeatures } from './sa-request.ts';
import { ACK_LATENCY_US } from './timing.ts';
import { MAX_POLICIES } from './vsw-spd.ts';

/** No AH, IPv6, transport mode, ESN, anti-replay, byte lifetimes, or traps: vsw has none of them. */
export function capabilities(options: {
  readonly via: Via;
  readonly bootId: Buffer;
  readonly vrfs: readonly string[];
  readonly waitsForInSync: boolean;
}): GetCapabilitiesResponse {
  const { via, bootId, vrfs, waitsForInSync } = options;
  return {
    bootId,
    server: `lagopus-ipsec-agent vsw (${via})`,
    encryption: [...algorithms[via].encryption],
    integrity: [...algorithms[via].integrity],
    protocols: [Protocol.PROTOCOL_ESP],
    modes: [Mode.MODE_TUNNEL],
    features: [...supportedFeatures],
    maxReplayWindow: 0,
    maxSas: SLOT_COUNT * vrfs.length * (via === 'relay' ? 1 : 2),
    maxPolicies: MAX_POLICIES * vrfs.length,
    vrfs: [...vrfs],
    ackLatencyUs: ACK_LATENCY_US,
    spi: { min: MIN_SPI, max: 0xffffffff, mustReserve: true },
    maxBatch: MAX_BATCH,
    waitsForInSync,
    routeInterface: '',
  };
}
