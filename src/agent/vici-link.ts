import type { SaId } from '../sad/index.ts';
import type { SyncEngine } from '../sync/index.ts';
import type { Clock } from '../util/index.ts';
import type { ViciClient } from '../vici/index.ts';
import type { CharonAudit } from './charon-audit.ts';
import type { LinkStatus } from './link-status.ts';
import { keepConnected } from './reconnect.ts';
import type { ViciTunnels } from './vici-tunnels.ts';

export type ViciLinkOptions = {
  readonly client: Pick<ViciClient, 'version'>;
  readonly tunnels: Pick<ViciTunnels, 'listing'>;
  readonly engine: Pick<SyncEngine, 'desired'>;
  readonly audit: CharonAudit;
  /** While it is not, nobody knows what the plugin would tell. */
  readonly isPluginConnected: () => boolean;
  readonly auditIntervalMs: number;
  readonly status: LinkStatus;
  readonly clock: Clock;
};

/**
 * Audits, at an interval, what charon lists against what its plugin told; the first
 * answer says who charon is. Events are not followed: docs/design/agent.md says why.
 */
export async function followCharon(
  options: ViciLinkOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { client, tunnels, engine, audit, isPluginConnected, auditIntervalMs, status, clock } = options;
  const told = (): readonly SaId[] | undefined =>
    isPluginConnected() ? engine.desired().sas.map(({ id }) => id) : undefined;
  await keepConnected(
    async (established) => {
      const version = await client.version({ signal });
      status.connected(`${version.daemon} ${version.version}`);
      established();
      for (;;) {
        await clock.sleep(auditIntervalMs, { signal });
        const before = told();
        const listing = await tunnels.listing({ signal });
        const after = told();
        if (before !== undefined && after !== undefined) audit.note(listing, { before, after });
      }
    },
    (reason) => status.lost(reason),
    { clock, signal },
  );
}
