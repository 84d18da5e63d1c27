import { type Direction, type IpsecProtocol, type SaId, type SaKey, type Spi, saKey } from '../sad/index.ts';
import { AgentError, type Clock, type Logger } from '../util/index.ts';
import { Alarm } from './alarm.ts';
import { type BackOffOptions, backOffMs } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { ChildSaView, TunnelControl } from './ports.ts';

/** The dataplane lost it, or it has no sequence numbers left. */
export type RekeyReason = 'lost' | 'sequence-overflow';

type Want = {
  readonly id: SaId;
  readonly reason: RekeyReason;
  readonly attempts: number;
  readonly notBeforeMs: number;
};

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

/** Outbound SPIs are drawn by the peers, so that CHILD_SAs of two peers may have the same. */
function indexChildren(children: readonly ChildSaView[]): ReadonlyMap<string, readonly ChildSaView[]> {
  const index = new Map<string, ChildSaView[]>();
  const enter = (direction: Direction, spi: Spi | undefined, child: ChildSaView): void => {
    if (spi === undefined) return;
    const key = childKey(direction, child.protocol, spi);
    const entered = index.get(key);
    if (entered === undefined) index.set(key, [child]);
    else entered.push(child);
  };
  for (const child of children) {
    enter('inbound', child.inboundSpi, child);
    enter('outbound', child.outboundSpi, child);
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
  readonly #wants = new Map<SaKey, Want>();
  readonly #alarm: Alarm;
  #isAsking = false;
  #isFailing = false;
  #asked = 0;

  constructor(options: RekeyRequestsOptions) {
    this.#options = options;
    this.#alarm = new Alarm({ ...options, ring: () => this.#startRound() });
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
  }

  /** Nobody wants SAs that are no longer there. */
  keepOnly(keys: { readonly has: (key: SaKey) => boolean }): void {
    for (const key of this.#wants.keys()) if (!keys.has(key)) this.#wants.delete(key);
  }

  /** What a comparison found lost; nothing else is. */
  setLost(ids: readonly SaId[]): void {
    const lost = new Set(ids.map(saKey));
    for (const [key, { reason }] of this.#wants) {
      if (reason === 'lost' && !lost.has(key)) this.#wants.delete(key);
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
    const { tunnels, clock, logger, spacingMs } = this.#options;
    const due = [...this.#wants].filter(([, { notBeforeMs }]) => notBeforeMs <= clock.now());
    const asked = new Set<string>();
    try {
      const index = indexChildren(due.length === 0 ? [] : await tunnels.listChildSas({ signal }));
      for (const [key, want] of due) {
        if (!this.#wants.has(key)) continue;
        this.#postpone(key, want);
        const { direction, protocol, spi } = want.id;
        for (const child of index.get(childKey(direction, protocol, spi)) ?? []) {
          if (child.state !== 'INSTALLED' || asked.has(child.childId)) continue;
          if (asked.size > 0) await clock.sleep(spacingMs, { signal });
          asked.add(child.childId);
          this.#asked += 1;
          logger.info(
            { sa: key, reason: want.reason, child: child.name, childId: child.childId },
            'rekeying an unusable SA',
          );
          await tunnels.rekeyChildSa(child, { signal });
        }
      }
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof AgentError) || signal.aborted) throw error;
      for (const [key, want] of due) this.#postpone(key, want);
      if (!this.#isFailing) logger.warn({ error: error.message }, 'cannot ask charon to rekey, will retry');
      this.#isFailing = true;
    }
  }

  #postpone(key: SaKey, want: Want): void {
    if (!this.#wants.has(key)) return;
    const attempts = want.attempts + 1;
    const notBeforeMs = this.#options.clock.now() + backOffMs(attempts, this.#options.backOff);
    this.#wants.set(key, { ...want, attempts, notBeforeMs });
  }
}
