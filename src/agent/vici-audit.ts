import { formatSpi } from '../sad/index.ts';
import type { ChildSaView, SyncEngine } from '../sync/index.ts';
import type { Logger } from '../util/index.ts';

export type AuditOptions = {
  readonly children: readonly ChildSaView[];
  readonly engine: Pick<SyncEngine, 'desired'>;
  /** SPIs that the last audit missed: said only when two in a row do. */
  readonly suspects: Set<string>;
  readonly logger: Logger;
};

/**
 * Every SA that charon lists as INSTALLED has to be one its plugin told of. One that is
 * not, twice in a row, was lost on the way: nothing repairs that, a person must know.
 */
export function auditCharon({ children, engine, suspects, logger }: AuditOptions): void {
  const known = new Set(engine.desired().sas.map(({ id }) => `${id.direction} ${id.spi}`));
  const missing = new Map<string, ChildSaView>();
  for (const child of children) {
    if (child.state !== 'INSTALLED') continue;
    if (child.inboundSpi !== undefined) missing.set(`inbound ${child.inboundSpi}`, child);
    if (child.outboundSpi !== undefined) missing.set(`outbound ${child.outboundSpi}`, child);
  }
  for (const key of known) missing.delete(key);
  for (const [key, child] of missing) {
    if (!suspects.has(key)) continue;
    const spis = { inbound: child.inboundSpi, outbound: child.outboundSpi };
    logger.error(
      {
        childSa: `${child.name}{${child.childId}}`,
        inboundSpi: spis.inbound === undefined ? undefined : formatSpi(spis.inbound),
        outboundSpi: spis.outbound === undefined ? undefined : formatSpi(spis.outbound),
      },
      'charon lists an SA that its plugin did not tell of; rekey the CHILD_SA',
    );
  }
  suspects.clear();
  for (const key of missing.keys()) suspects.add(key);
}
