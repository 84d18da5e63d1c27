import type { DataplaneStatus, LagopusDataplane } from '../lagopus/index.ts';
import { askIfPossible } from './ask-if-possible.ts';
import type { LinkStatus } from './link-status.ts';

const NOTHING: DataplaneStatus = { spiSlots: [], notes: [] };
/** A status is wanted most when something hangs. */
const PATIENCE_MS = 500;

/** What the dataplane says of itself; nothing when it is not there, or knows nothing to say. */
export async function readDataplaneStatus(
  dataplane: Pick<LagopusDataplane, 'status'>,
  link: LinkStatus,
): Promise<DataplaneStatus> {
  if (link.report.state !== 'connected') return NOTHING;
  const ask = (signal: AbortSignal): Promise<DataplaneStatus> => dataplane.status({ signal });
  return (await askIfPossible(ask, { patienceMs: PATIENCE_MS })) ?? NOTHING;
}
