import type { KeyfeedConnection, PolicyUsageEntry, UsageEntry } from '../keyfeed/index.ts';
import type { SaId } from '../sad/index.ts';
import type { DataplaneEvent, UsageReport } from '../sync/index.ts';
import { assertNever } from '../util/index.ts';
import type { SoftExpiries } from './soft-expiries.ts';

function expire(connection: Pick<KeyfeedConnection, 'expire'>, id: SaId, isHard: boolean): void {
  connection.expire({
    protocol: id.protocol,
    spi: id.spi,
    destination: { address: id.destination, port: 0 },
    hard: isHard,
  });
}

/**
 * Brings charon's plugin the counters that it answers query_sa and query_policy from, and the soft expiries
 * it was not told of.
 */
export function feedUsage(
  connection: Pick<KeyfeedConnection, 'usage' | 'policyUsage' | 'expire'>,
  report: UsageReport,
  softExpiries: SoftExpiries,
): void {
  const { usages, policies } = report;
  const sas = usages.map(
    ({ id, counters }): UsageEntry => ({
      protocol: id.protocol,
      direction: id.direction,
      spi: id.spi,
      destination: id.destination,
      bytes: counters.bytes,
      packets: counters.packets,
      idleMs: counters.idleMs,
    }),
  );
  if (sas.length > 0) connection.usage(sas);
  const used = policies.map(
    ({ policy: { id }, idleMs }): PolicyUsageEntry => ({
      direction: id.direction,
      source: id.source,
      destination: id.destination,
      mark: id.mark,
      ifId: id.ifId,
      idleMs,
    }),
  );
  if (used.length > 0) connection.policyUsage(used);
  for (const id of softExpiries.untold(report)) expire(connection, id, false);
}

/** Tells charon what only the dataplane notices. */
export function feedEvent(
  connection: Pick<KeyfeedConnection, 'expire' | 'acquire' | 'mapping'>,
  event: DataplaneEvent,
  softExpiries: SoftExpiries,
): void {
  switch (event.kind) {
    case 'expire':
      expire(connection, event.id, event.isHard);
      if (!event.isHard) softExpiries.noteTold(event.id);
      return;
    case 'acquire':
      connection.acquire({ reqid: event.reqid, source: event.source, destination: event.destination });
      return;
    case 'peer-address':
      connection.mapping({
        protocol: event.id.protocol,
        spi: event.id.spi,
        destination: { address: event.id.destination, port: 0 },
        newSource: { address: event.address, port: event.port },
      });
      return;
    case 'boot':
    case 'gap':
    case 'sequence-overflow':
      // The engine's: it asks for a rekey, or looks again.
      return;
    default:
      assertNever(event, 'dataplane event');
  }
}
