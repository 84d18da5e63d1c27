import type { SyncEngine, TunnelControl } from '../sync/index.ts';
import type { Clock, Logger } from '../util/index.ts';
import type { ViciClient } from '../vici/index.ts';
import type { LinkStatus } from './link-status.ts';
import { keepConnected } from './reconnect.ts';
import { auditCharon } from './vici-audit.ts';

export type ViciLinkOptions = {
  readonly client: ViciClient;
  readonly tunnels: TunnelControl;
  readonly engine: Pick<SyncEngine, 'desired'>;
  readonly auditIntervalMs: number;
  readonly status: LinkStatus;
  readonly clock: Clock;
  readonly logger: Logger;
};

/**
 * Audits, at an interval, what charon lists against what its plugin told; the first
 * answer says who charon is. Events are not followed: docs/design/agent.md says why.
 */
export async function followCharon(
  options: ViciLinkOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { client, tunnels, engine, auditIntervalMs, status, clock, logger } = options;
  const suspects = new Set<string>();
  await keepConnected(
    async (established) => {
      const version = await client.version({ signal });
      status.connected(`${version.daemon} ${version.version}`);
      established();
      for (;;) {
        await clock.sleep(auditIntervalMs, { signal });
        auditCharon({ children: await tunnels.listChildSas({ signal }), engine, suspects, logger });
      }
    },
    (reason) => status.lost(reason),
    { clock, signal },
  );
}
