import { type Direction, type IpsecProtocol, type SaId, type SaKey, type Spi, saKey } from '../sad/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import type { BackOffOptions } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { ChildSaView, TunnelControl } from './ports.ts';
import { WantRounds } from './want-rounds.ts';

/** The dataplane lost it, or it has no sequence numbers left. */
export type RekeyReason = 'lost' | 'sequence-overflow';

type Want = { readonly id: SaId; readonly reason: RekeyReason };

export type RekeyRequestsOptions = {
  readonly tunnels: TunnelControl;
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  readonly logger: Logger;
  readonly backOff: BackOffOptions;
  /** Between two rekeys of any CHILD_SAs. */
  readonly spacingMs: number;
};

function childKey(direction: Direction, protocol: IpsecProtocol, spi: Spi): string {
  return `${direction} ${protocol} ${spi}`;
}

function indexChildren(children: readonly ChildSaView[]): ReadonlyMap<string, ChildSaView> {
  const index = new Map<string, ChildSaView>();
  for (const child of children) {
    const { protocol, inboundSpi, outboundSpi } = child;
    if (inboundSpi !== undefined) index.set(childKey('inbound', protocol, inboundSpi), child);
    if (outboundSpi !== undefined) index.set(childKey('outbound', protocol, outboundSpi), child);
  }
  return index;
}

/**
 * Asks charon to rekey CHILD_SAs of which the dataplane cannot use an SA (invariant 4): one after
 * the other, again with back-off while the SA is still wanted, and only those charon
 * lists as INSTALLED, so never one whose rekey or deletion is under way.
 */
export class RekeyRequests {
  readonly #options: RekeyRequestsOptions;
  readonly #rounds: WantRounds<SaKey, Want>;
  #isFailing = false;
  #asked = 0;

  constructor(options: RekeyRequestsOptions) {
    this.#options = options;
    this.#rounds = new WantRounds({ ...options, round: (due, signal) => this.#round(due, signal) });
  }

  get wanted(): readonly SaKey[] {
    return [...this.#rounds.entries.keys()];
  }

  /** Rekeys asked for so far. */
  get asked(): number {
    return this.#asked;
  }

  want(id: SaId, reason: RekeyReason): void {
    const key = saKey(id);
    if (this.#rounds.get(key) === undefined) this.#rounds.set(key, { id, reason });
  }

  /** The SA is gone or replaced. */
  drop(key: SaKey): void {
    this.#rounds.delete(key);
  }

  /** What a comparison found lost; nothing else is. */
  setLost(ids: readonly SaId[]): void {
    const lost = new Set(ids.map(saKey));
    for (const [key, { want }] of this.#rounds.entries) {
      if (want.reason === 'lost' && !lost.has(key)) this.#rounds.delete(key);
    }
    for (const id of ids) this.want(id, 'lost');
  }

  async #round(due: readonly (readonly [SaKey, Want])[], signal: AbortSignal): Promise<void> {
    const { tunnels, clock, logger, spacingMs } = this.#options;
    const handled = new Set<string>();
    for (const [key] of due) this.#rounds.tried(key);
    try {
      const children = indexChildren(await tunnels.listChildSas({ signal }));
      for (const [key, { id, reason }] of due) {
        if (this.#rounds.get(key) === undefined) continue;
        const child = children.get(childKey(id.direction, id.protocol, id.spi));
        if (child === undefined || child.state !== 'INSTALLED' || handled.has(child.childId)) continue;
        if (handled.size > 0) await clock.sleep(spacingMs, { signal });
        handled.add(child.childId);
        this.#asked += 1;
        logger.info(
          { sa: key, reason, child: child.name, childId: child.childId },
          'rekeying an unusable SA',
        );
        await tunnels.rekeyChildSa(child, { signal });
      }
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof AgentError) || signal.aborted) throw error;
      if (!this.#isFailing) logger.warn({ error: error.message }, 'cannot ask charon to rekey, will retry');
      this.#isFailing = true;
    }
  }
}
