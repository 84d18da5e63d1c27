import { setTimeout as sleep } from 'node:timers/promises';
import { PacketFlow } from '../../test/support/index.ts';
import { cpuSeconds } from '../support/cpu-time.ts';
import type { Carrier } from './carrier.ts';

/** IPv4 and UDP. */
const HEADER_BYTES = 28;
/** More than anything here carries. */
const AS_FAST_AS_POSSIBLE = 1_000_000;
const WARM_UP_MS = 300;

export type PacketRate = {
  /** That arrived. */
  readonly packetsPerSecond: number;
  /** CPU time of both ends' dataplanes for a packet that arrived, halved: what one end needs. */
  readonly cpuMicrosecondsPerPacket: number;
};

/** UDP, inner packets of `packetBytes` with their headers, as many as come through. */
export async function measurePacketRate(
  carrier: Carrier,
  options: { readonly packetBytes: number; readonly seconds: number; readonly packetsPerSecond?: number },
): Promise<PacketRate> {
  const { packetBytes, seconds, packetsPerSecond = AS_FAST_AS_POSSIBLE } = options;
  const { from, to, dir, pids } = carrier;
  await using flow = await PacketFlow.start({
    ...{ from, to, dir, packetsPerSecond, sizeBytes: packetBytes - HEADER_BYTES },
  });
  await sleep(WARM_UP_MS);
  const look = async () => {
    const { received } = await flow.received();
    return { received, atMs: performance.now(), cpu: await cpuSeconds(pids) };
  };
  const before = await look();
  await sleep(seconds * 1_000);
  const after = await look();
  const packets = after.received - before.received;
  return {
    packetsPerSecond: (packets * 1_000) / (after.atMs - before.atMs),
    cpuMicrosecondsPerPacket: packets === 0 ? 0 : ((after.cpu - before.cpu) * 1e6) / packets / 2,
  };
}
