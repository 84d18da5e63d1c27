import { type Direction, type IpsecProtocol, type SaId, type SaKey, type Spi, saKey } from '../sad/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import { Alarm } from './alarm.ts';
import { type BackOffOptions, backOffMs } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { ChildSaView, TunnelControl } from './ports.ts';
import { RekeySlots } from './rekey-slots.ts';

/** The dataplane lost it, or it has no sequence numbers left. */
export type RekeyReason = 'lost' | 'sequence-overflow';

type Want = {
  readonly id: SaId;
  readonly reason: RekeyReason;
  readonly attempts: number;
  readonly notBeforeMs: number;
};

type Wanted = readonly [key: SaKey, want: Want];

export type RekeyRequestsOptions = {
  readonly tunnels: TunnelControl;
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  readonly logger: Logger;
  readonly backOff: BackOffOptions;
  readonly slots: { readonly count: number; readonly patienceMs: number };
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
 * Asks charon to rekey CHILD_SAs of which the dataplane cannot use an SA (invariant 4): a few at a
 * time, again with back-off while the SA is still wanted, and only those charon lists as
 * INSTALLED, so never one whose rekey or deletion is under way.
 */
export class RekeyRequests {
  readonly #options: RekeyRequestsOptions;
  readonly #wants = new Map<SaKey, Want>();
  readonly #alarm: Alarm;
  readonly #slots: RekeySlots;
  #isAsking = false;
  #isFailing = false;
  #asked = 0;

  constructor(options: RekeyRequestsOptions) {
    this.#options = options;
    this.#alarm = new Alarm({ ...options, ring: () => this.#startRound() });
    this.#slots = new RekeySlots({ clock: options.clock, ...options.slots });
  }

  get wanted(): readonly SaKey[] {
    return [...this.#wants.keys()];
  }

  /** Rekeys asked for so far. */
  get asked(): number {
    return this.#asked;
  }

  want(id: SaId, reason: RekeyReason): void {
    const key = saKey(id);
    if (this.#wants.has(key)) return;
    const nowMs = this.#options.clock.now();
    this.#wants.set(key, { id, reason, attempts: 0, notBeforeMs: nowMs });
    this.#alarm.setNoLaterThan(nowMs);
  }

  /** The SA is gone or replaced. */
  drop(key: SaKey): void {
    this.#wants.delete(key);
    this.#slots.release(key);
  }

  /** What a comparison found lost; nothing else is. */
  setLost(ids: readonly SaId[]): void {
    const lost = new Set(ids.map(saKey));
    for (const [key, { reason }] of this.#wants) {
      if (reason === 'lost' && !lost.has(key)) this.drop(key);
    }
    for (const id of ids) this.want(id, 'lost');
  }

  #startRound(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#options.tasks.spawn(async (signal) => {
      try {
        await this.#round(signal);
      } finally {
        this.#isAsking = false;
      }
      this.#setAlarm();
    });
  }

  #setAlarm(): void {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const { notBeforeMs } of this.#wants.values()) dueMs = Math.min(dueMs, notBeforeMs);
    if (Number.isFinite(dueMs)) this.#alarm.setNoLaterThan(dueMs);
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { tunnels, clock, logger } = this.#options;
    const due = [...this.#wants].filter(([, { notBeforeMs }]) => notBeforeMs <= clock.now());
    if (due.length === 0) return;
    try {
      const children = indexChildren(await tunnels.listChildSas({ signal }));
      for (const [child, wants] of this.#byChild(due, children)) {
        await this.#slots.take(
          wants.map(([key]) => key),
          { signal },
        );
        const [first] = wants.filter(([key]) => this.#wants.has(key));
        // Charon has replaced them meanwhile.
        if (first === undefined) continue;
        for (const [key, want] of wants) this.#postpone(key, want);
        await this.#ask(child, first, signal);
      }
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof AgentError) || signal.aborted) throw error;
      for (const [key, want] of due) this.#postpone(key, want);
      if (!this.#isFailing) logger.warn({ error: error.message }, 'cannot ask charon to rekey, will retry');
      this.#isFailing = true;
    }
  }

  /** One rekey replaces both SAs of a CHILD_SA. What charon is busy with already waits for its next turn. */
  #byChild(
    due: readonly Wanted[],
    children: ReadonlyMap<string, ChildSaView>,
  ): ReadonlyMap<ChildSaView, readonly Wanted[]> {
    const groups = new Map<ChildSaView, Wanted[]>();
    for (const wanted of due) {
      const [key, want] = wanted;
      const { direction, protocol, spi } = want.id;
      const child = children.get(childKey(direction, protocol, spi));
      if (child === undefined || child.state !== 'INSTALLED') {
        this.#postpone(key, want);
        continue;
      }
      const group = groups.get(child);
      if (group === undefined) groups.set(child, [wanted]);
      else group.push(wanted);
    }
    return groups;
  }

  /** @throws AgentError when charon cannot be asked; that it refuses this one concerns no other. */
  async #ask(child: ChildSaView, [key, { reason }]: Wanted, signal: AbortSignal): Promise<void> {
    const { tunnels, logger } = this.#options;
    this.#asked += 1;
    logger.info({ sa: key, reason, child: child.name, childId: child.childId }, 'rekeying an unusable SA');
    try {
      await tunnels.rekeyChildSa(child, { signal });
    } catch (error) {
      if (!(error instanceof AgentError) || error.code !== 'refused') throw error;
      this.#slots.release(key);
      logger.warn({ sa: key, reason: error.message }, 'charon does not rekey, will retry');
    }
  }

  #postpone(key: SaKey, want: Want): void {
    if (!this.#wants.has(key)) return;
    const attempts = want.attempts + 1;
    const notBeforeMs = this.#options.clock.now() + backOffMs(attempts, this.#options.backOff);
    this.#wants.set(key, { ...want, attempts, notBeforeMs });
  }
}
