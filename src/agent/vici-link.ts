import type { SyncEngine, TunnelControl } from '../sync/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import type { ViciClient, ViciEvent } from '../vici/index.ts';
import type { LinkStatus } from './link-status.ts';
import { keepConnected } from './reconnect.ts';
import { auditCharon } from './vici-audit.ts';

export type ViciLinkOptions = {
  readonly client: ViciClient;
  readonly tunnels: TunnelControl;
  readonly engine: Pick<SyncEngine, 'desired' | 'status'>;
  readonly auditIntervalMs: number;
  readonly status: LinkStatus;
  readonly clock: Clock;
  readonly logger: Logger;
};

const EVENTS = ['ike-updown', 'ike-rekey', 'child-updown', 'child-rekey'] as const;

function describeEvent(event: ViciEvent): Readonly<Record<string, unknown>> {
  switch (event.kind) {
    case 'ike-updown':
    case 'child-updown':
      return { event: event.kind, isUp: event.isUp, ike: `${event.ike.name}[${event.ike.uniqueId}]` };
    case 'child-rekey':
      return {
        event: event.kind,
        child: event.new.name,
        oldId: event.old.uniqueId,
        newId: event.new.uniqueId,
      };
    case 'ike-rekey':
      return { event: event.kind, ike: event.new.name, oldId: event.old.uniqueId, newId: event.new.uniqueId };
    default:
      return { event: event.kind === 'other' ? event.name : event.kind };
  }
}

/** Follows charon's events, and audits what it lists against what its plugin told. */
export async function followCharon(
  options: ViciLinkOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { client, status, clock, logger } = options;
  await keepConnected(
    async (established) => {
      await using events = await client.subscribe(EVENTS, { signal });
      const version = await client.version({ signal });
      status.connected(`${version.daemon} ${version.version}`);
      established();
      const stop = new AbortController();
      const auditing = audit(options, AbortSignal.any([signal, stop.signal]));
      try {
        for await (const event of events) {
          if (event.kind === 'gap') logger.warn({ lost: event.lost }, 'events of charon were lost');
          else logger.debug(describeEvent(event), 'charon event');
        }
      } finally {
        stop.abort();
        await auditing;
      }
    },
    (reason) => status.lost(reason),
    { clock, signal },
  );
}

async function audit(options: ViciLinkOptions, signal: AbortSignal): Promise<void> {
  const { tunnels, engine, auditIntervalMs, clock, logger } = options;
  const suspects = new Set<string>();
  while (!signal.aborted) {
    try {
      await clock.sleep(auditIntervalMs, { signal });
      auditCharon({ children: await tunnels.listChildSas({ signal }), engine, suspects, logger });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AgentError)) throw error;
      logger.warn({ reason: error.message }, 'charon could not be audited');
    }
  }
}
