import { type Direction, type IpsecProtocol, type SaId, type SaKey, type Spi, saKey } from '../sad/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import type { BackOffOptions } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { ChildSaView, TunnelControl } from './ports.ts';
import { RekeySlots, type RekeySlotsOptions } from './rekey-slots.ts';
import { WantRounds } from './want-rounds.ts';

/** The dataplane lost it, or it has no sequence numbers left. */
export type RekeyReason = 'lost' | 'sequence-overflow';

type Want = { readonly id: SaId; readonly reason: RekeyReason };

/** A rekey that is wanted, not before a time on the clock. */
export type RekeyWant = Want & { readonly attempts: number; readonly notBeforeMs: number };

type Wanted = readonly [SaKey, Want];

export type RekeyRequestsOptions = {
  readonly tunnels: TunnelControl;
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  readonly logger: Logger;
  readonly backOff: BackOffOptions;
  /** Between two looks at a CHILD_SA that charon is busy with. */
  readonly busyBackOff: BackOffOptions;
  readonly slots: Omit<RekeySlotsOptions, 'clock'>;
  /** A rekey is being asked for, of the CHILD_SA of this SA. */
  readonly onAsked?: (key: SaKey, child: ChildSaView) => void;
};

/** Rekeys of one round, at least, and as a share of what is due: then charon is listed again. */
const ROUND = { atLeast: 64, share: 1 / 8 } as const;

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

/** Outbound SAs first: nothing is sent without them, and charon deletes them once the new CHILD_SA is in use. */
function outboundFirst([, a]: Wanted, [, b]: Wanted): number {
  return Number(a.id.direction === 'inbound') - Number(b.id.direction === 'inbound');
}

/**
 * Asks charon to rekey CHILD_SAs of which the dataplane cannot use an SA (invariant 4): a few at a
 * time, in the order in which they were wanted, again with back-off while the SA is still wanted, and
 * only those charon lists as INSTALLED, so never one whose rekey or deletion is under way.
 */
export class RekeyRequests {
  readonly #options: RekeyRequestsOptions;
  readonly #rounds: WantRounds<SaKey, Want>;
  readonly #slots: RekeySlots;
  #isFailing = false;
  #asked = 0;

  constructor(options: RekeyRequestsOptions) {
    this.#options = options;
    this.#rounds = new WantRounds({ ...options, round: (due, signal) => this.#round(due, signal) });
    this.#slots = new RekeySlots({ clock: options.clock, ...options.slots });
  }

  get wanted(): readonly SaKey[] {
    return [...this.#rounds.entries.keys()];
  }

  /** What is wanted of one SA. */
  get(key: SaKey): RekeyWant | undefined {
    const entry = this.#rounds.entries.get(key);
    return entry && { ...entry.want, attempts: entry.attempts, notBeforeMs: entry.notBeforeMs };
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
    this.#slots.release(key);
  }

  /** What a comparison found lost; nothing else is. */
  setLost(ids: readonly SaId[]): void {
    const lost = new Set(ids.map(saKey));
    for (const [key, { want }] of this.#rounds.entries) {
      if (want.reason === 'lost' && !lost.has(key)) this.drop(key);
    }
    for (const id of ids) this.want(id, 'lost');
  }

  async #round(due: readonly Wanted[], signal: AbortSignal): Promise<void> {
    const { tunnels, logger } = this.#options;
    try {
      const children = indexChildren(await tunnels.listChildSas({ signal }));
      const groups = [...this.#byChild(due.toSorted(outboundFirst), children)];
      // One that charon was busy with does not wait for hundreds of others.
      for (const [child, wants] of groups.slice(0, Math.max(ROUND.atLeast, groups.length * ROUND.share))) {
        const keys = wants.map(([key]) => key);
        await this.#slots.take(keys, { signal });
        const wanted = wants.find(([key]) => this.#rounds.get(key) !== undefined);
        // Charon has replaced them meanwhile.
        if (wanted === undefined) for (const key of keys) this.#slots.release(key);
        else await this.#ask(child, wanted, keys, signal);
      }
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof AgentError) || signal.aborted) throw error;
      for (const [key] of due) this.#rounds.tried(key);
      if (!this.#isFailing) logger.warn({ error: error.message }, 'cannot ask charon to rekey, will retry');
      this.#isFailing = true;
    }
  }

  /** One rekey replaces both SAs of a CHILD_SA. One that charon is busy with is soon in use again, or gone. */
  #byChild(
    due: readonly Wanted[],
    children: ReadonlyMap<string, ChildSaView>,
  ): ReadonlyMap<ChildSaView, readonly Wanted[]> {
    const groups = new Map<ChildSaView, Wanted[]>();
    for (const wanted of due) {
      const [key, { id }] = wanted;
      const child = children.get(childKey(id.direction, id.protocol, id.spi));
      if (child === undefined || child.state !== 'INSTALLED') {
        this.#rounds.tried(key, this.#options.busyBackOff);
        continue;
      }
      const group = groups.get(child);
      if (group === undefined) groups.set(child, [wanted]);
      else group.push(wanted);
    }
    return groups;
  }

  /** @throws AgentError when charon cannot be asked; that it refuses this one concerns no other. */
  async #ask(
    child: ChildSaView,
    [sa, { reason }]: Wanted,
    keys: readonly SaKey[],
    signal: AbortSignal,
  ): Promise<void> {
    const { tunnels, logger, onAsked } = this.#options;
    for (const key of keys) {
      this.#rounds.tried(key);
      onAsked?.(key, child);
    }
    this.#asked += 1;
    logger.info({ sa, reason, child: child.name, childId: child.childId }, 'rekeying an unusable SA');
    try {
      await tunnels.rekeyChildSa(child, { signal });
    } catch (error) {
      if (!(error instanceof AgentError) || error.code !== 'refused') throw error;
      for (const key of keys) this.#slots.release(key);
      logger.warn({ sa, reason: error.message }, 'charon does not rekey, will retry');
    }
  }
}
