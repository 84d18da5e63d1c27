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
  /** Rekeys that charon may have to do at once. */
  readonly maxUnderWay: number;
};

/** A rekey that takes longer waits for a peer, not for charon: another one may start. */
const UNDER_WAY_MS = 2_000;
/** How often it is looked at whether the next one may start. */
const LOOK_MS = 5;
/** Rekeys of one round, at least, and as a share of what is wanted: then charon is listed again. */
const ROUND = { atLeast: 64, share: 1 / 8 } as const;
/** For a CHILD_SA that charon is busy with: soon it is in use again, or gone. */
const BUSY_BACK_OFF: BackOffOptions = { firstMs: 500, maxMs: 60_000 };

function childKey(direction: Direction, protocol: IpsecProtocol, spi: Spi): string {
  return `${direction} ${protocol} ${spi}`;
}

function namesOf({ protocol, inboundSpi, outboundSpi }: ChildSaView): readonly string[] {
  return [
    ...(inboundSpi === undefined ? [] : [childKey('inbound', protocol, inboundSpi)]),
    ...(outboundSpi === undefined ? [] : [childKey('outbound', protocol, outboundSpi)]),
  ];
}

function indexChildren(children: readonly ChildSaView[]): ReadonlyMap<string, ChildSaView> {
  return new Map(children.flatMap((child) => namesOf(child).map((name) => [name, child] as const)));
}

/** Outbound SAs first: charon deletes them when the new CHILD_SA is in use, inbound ones seconds later. */
function outboundFirst([, a]: readonly [SaKey, Want], [, b]: readonly [SaKey, Want]): number {
  return Number(a.id.direction === 'inbound') - Number(b.id.direction === 'inbound');
}

/**
 * Asks charon to rekey CHILD_SAs of which the dataplane cannot use an SA (invariant 4): a few at a
 * time, again with back-off while the SA is still wanted, and only those charon
 * lists as INSTALLED, so never one whose rekey or deletion is under way.
 */
export class RekeyRequests {
  readonly #options: RekeyRequestsOptions;
  readonly #wants = new Map<SaKey, Want>();
  /** When charon was asked for what it has not done yet. */
  readonly #underWay = new Map<SaKey, number>();
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
    this.#underWay.delete(key);
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
    const { tunnels, clock, logger, backOff } = this.#options;
    const due = [...this.#wants].filter(([, { notBeforeMs }]) => notBeforeMs <= clock.now());
    due.sort(outboundFirst);
    const limit = Math.max(ROUND.atLeast, due.length * ROUND.share);
    let asked = 0;
    try {
      const children = due.length === 0 ? new Map() : indexChildren(await tunnels.listChildSas({ signal }));
      const keys = new Map(due.map(([key, { id }]) => [childKey(id.direction, id.protocol, id.spi), key]));
      for (const [key, { id, reason, notBeforeMs }] of due) {
        // One that charon was busy with does not wait for all the others.
        if (asked >= limit) break;
        await this.#waitForRoom(signal);
        if (this.#wants.get(key)?.notBeforeMs !== notBeforeMs) continue;
        const child: ChildSaView | undefined = children.get(childKey(id.direction, id.protocol, id.spi));
        if (child === undefined || child.state !== 'INSTALLED') {
          this.#postpone(key, BUSY_BACK_OFF);
          continue;
        }
        // Both its SAs are replaced by one rekey.
        const replaced = new Set([key, ...namesOf(child).flatMap((name) => keys.get(name) ?? [])]);
        for (const other of replaced) this.#postpone(other, backOff);
        this.#underWay.set(key, clock.now());
        this.#asked += 1;
        asked += 1;
        logger.info(
          { sa: key, reason, child: child.name, childId: child.childId },
          'rekeying an unusable SA',
        );
        await tunnels.rekeyChildSa(child, { signal });
      }
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof AgentError) || signal.aborted) throw error;
      for (const [key] of due) this.#postpone(key, backOff);
      if (!this.#isFailing) logger.warn({ error: error.message }, 'cannot ask charon to rekey, will retry');
      this.#isFailing = true;
    }
  }

  async #waitForRoom(signal: AbortSignal): Promise<void> {
    const { clock, maxUnderWay } = this.#options;
    while (this.#underWay.size >= maxUnderWay) {
      await clock.sleep(LOOK_MS, { signal });
      for (const [key, askedMs] of this.#underWay) {
        if (clock.now() - askedMs >= UNDER_WAY_MS) this.#underWay.delete(key);
      }
    }
  }

  #postpone(key: SaKey, backOff: BackOffOptions): void {
    const want = this.#wants.get(key);
    if (want === undefined) return;
    const attempts = want.attempts + 1;
    const notBeforeMs = this.#options.clock.now() + backOffMs(attempts, backOff);
    this.#wants.set(key, { ...want, attempts, notBeforeMs });
  }
}
