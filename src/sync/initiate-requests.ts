import { AgentError, assertNever, type Clock, type Logger } from '../util/index.ts';
import type { BackOffOptions } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { Jitter } from './jitter.ts';
import { PeerLimit, type PeerLimitOptions } from './peer-limit.ts';
import type { ChildSaName, TunnelControl } from './ports.ts';
import type { WaitingSetup } from './status.ts';
import { type WaitingWant, WantRounds } from './want-rounds.ts';

type Want = {
  readonly name: ChildSaName;
  /** Why it is not there. */
  readonly reason: string;
  /** No IKE_SA of its connection was in the last listing. */
  readonly isWithoutIke: boolean;
};

type DueWants = readonly (readonly [string, Want])[];

export type InitiateRequestsOptions = {
  readonly tunnels: Pick<TunnelControl, 'listIkeSas' | 'initiateChildSa'>;
  readonly clock: Clock;
  readonly jitter?: Jitter;
  readonly tasks: BackgroundTasks;
  readonly logger: Logger;
  /** Whether the dataplane would take what charon set up now; `wake` is called when it would again. */
  readonly isEnabled: () => boolean;
  readonly backOff: BackOffOptions;
  readonly limit: PeerLimitOptions;
  /** Between two initiations. */
  readonly spacingMs: number;
  /** Between two looks at what cannot be initiated now. */
  readonly lookAgainMs: number;
  /** The steps of one setup fail one after the other: so long its refusal outweighs other failures. */
  readonly refusalMs: number;
};

function keyOf({ ike, child }: ChildSaName): string {
  return JSON.stringify([ike, child]);
}

/**
 * Has charon initiate CHILD_SAs again that could not be set up for a passing reason (invariant 11):
 * charon itself would not. With back-off and a limit per peer, until charon lists one as INSTALLED,
 * cannot initiate it, or the dataplane says that it never will.
 */
export class InitiateRequests {
  readonly #options: InitiateRequestsOptions;
  readonly #rounds: WantRounds<string, Want>;
  readonly #limit: PeerLimit;
  readonly #refusedUntilMs = new Map<string, number>();
  /** Connections about which charon could not be asked the last time. */
  readonly #failing = new Set<string>();
  #asked = 0;

  constructor(options: InitiateRequestsOptions) {
    this.#options = options;
    this.#limit = new PeerLimit(options.limit);
    this.#rounds = new WantRounds({
      ...options,
      round: (due, signal) => this.#round(due, signal),
    });
  }

  get waiting(): readonly WaitingSetup[] {
    const nowMs = this.#options.clock.now();
    return [...this.#rounds.entries.values()].map(({ want, attempts, notBeforeMs }) => ({
      ...want.name,
      reason: want.reason,
      attempts,
      nextLookMs: Math.max(0, Math.round(notBeforeMs - nowMs)),
    }));
  }

  /** Initiations asked for so far. */
  get asked(): number {
    return this.#asked;
  }

  /** A setup failed for a passing reason. */
  want(name: ChildSaName, reason: string): void {
    const { clock, logger, backOff } = this.#options;
    const key = keyOf(name);
    if ((this.#refusedUntilMs.get(key) ?? 0) > clock.now()) return;
    const known = this.#rounds.get(key);
    if (known === undefined) {
      logger.info({ ...name, reason }, 'a CHILD_SA could not be set up, will have it initiated again');
    }
    this.#rounds.set(key, { name, isWithoutIke: known?.isWithoutIke ?? false, reason }, backOff.firstMs);
  }

  /** A setup failed for good. */
  refuse(name: ChildSaName, reason: string): void {
    const { clock, refusalMs, logger } = this.#options;
    const key = keyOf(name);
    const nowMs = clock.now();
    for (const [other, untilMs] of this.#refusedUntilMs) {
      if (untilMs <= nowMs) this.#refusedUntilMs.delete(other);
    }
    this.#refusedUntilMs.set(key, nowMs + refusalMs);
    if (this.#rounds.get(key) === undefined) return;
    this.#drop(name);
    logger.warn({ ...name, reason }, 'a CHILD_SA is refused for good, will not have it initiated again');
  }

  /** There is another charon, with other SAs. */
  clear(): void {
    this.#rounds.clear();
    this.#failing.clear();
  }

  /** The dataplane takes SAs again. */
  wake(): void {
    this.#rounds.wake();
  }

  async #round(due: DueWants, signal: AbortSignal): Promise<void> {
    for (const [ike, wants] of Map.groupBy(due, ([, { name }]) => name.ike)) {
      if (!this.#options.isEnabled()) return;
      try {
        await this.#askForPeer(wants, signal);
        this.#failing.delete(ike);
      } catch (error) {
        if (!(error instanceof AgentError) || signal.aborted) throw error;
        for (const [key] of wants) this.#rounds.tried(key);
        if (!this.#failing.has(ike)) {
          const { logger } = this.#options;
          logger.warn({ ike, error: error.message }, 'cannot ask charon to initiate, will retry');
        }
        this.#failing.add(ike);
      }
    }
  }

  /** Looks at all of them before it initiates any: charon does not say which CHILD_SA it is busy with. */
  async #askForPeer(wants: DueWants, signal: AbortSignal): Promise<void> {
    const ready: string[] = [];
    for (const [key] of wants) {
      if (await this.#canTry(key, ready.length, signal)) ready.push(key);
    }
    for (const key of ready) {
      const want = this.#rounds.get(key);
      if (want !== undefined && this.#options.isEnabled()) await this.#initiate(key, want, signal);
    }
  }

  /** Whether it is to be initiated; if not, it is put off, or done with. `ready`: others of this round. */
  async #canTry(key: string, ready: number, signal: AbortSignal): Promise<boolean> {
    const { tunnels, logger, lookAgainMs } = this.#options;
    const entry = this.#rounds.entries.get(key);
    if (entry === undefined) return false;
    const { name } = entry.want;
    const isItsTurn = this.#isItsTurn(entry, ready);
    if (!isItsTurn && entry.attempts === 0) {
      this.#rounds.lookAgain(key, lookAgainMs);
      return false;
    }
    const ikeSas = await tunnels.listIkeSas(name, { signal });
    const want = this.#rounds.get(key);
    if (want === undefined) return false;
    if (ikeSas.some(({ childStates }) => childStates.includes('INSTALLED'))) {
      this.#drop(name);
      logger.info({ ...name }, 'the CHILD_SA is set up');
      return false;
    }
    // Twice: an IKE_SA that a worker of charon holds is in no listing.
    const isIkeUnsure = ikeSas.length === 0 && !want.isWithoutIke;
    if (isItsTurn && !isIkeUnsure && !ikeSas.some(({ isSettingUp }) => isSettingUp)) return true;
    this.#rounds.set(key, { ...want, isWithoutIke: ikeSas.length === 0 });
    this.#rounds.lookAgain(key, lookAgainMs);
    return false;
  }

  /** Where more are wanted of one peer than its limit lets through, those tried least come first. */
  #isItsTurn({ want, attempts }: WaitingWant<Want>, ready: number): boolean {
    const { clock, limit } = this.#options;
    const { ike } = want.name;
    if (this.#limit.left(ike, clock.now()) <= ready) return false;
    const ofPeer = [...this.#rounds.entries.values()].filter((other) => other.want.name.ike === ike);
    return ofPeer.length <= limit.attempts || ofPeer.every((other) => attempts <= other.attempts);
  }

  async #initiate(key: string, want: Want, signal: AbortSignal): Promise<void> {
    const { tunnels, clock, logger, spacingMs } = this.#options;
    this.#limit.take(want.name.ike, key, clock.now());
    this.#rounds.set(key, { ...want, isWithoutIke: false });
    this.#rounds.tried(key);
    this.#asked += 1;
    logger.debug({ ...want.name, reason: want.reason }, 'initiating a CHILD_SA again');
    const outcome = await tunnels.initiateChildSa(want.name, { signal });
    switch (outcome.kind) {
      case 'started':
        break;
      case 'failed': {
        const current = this.#rounds.get(key);
        if (current === undefined) break;
        if (outcome.reason !== current.reason) {
          logger.warn({ ...want.name, reason: outcome.reason }, 'charon cannot initiate a CHILD_SA now');
        }
        this.#rounds.set(key, { ...current, reason: outcome.reason });
        break;
      }
      case 'impossible':
        this.#drop(want.name);
        logger.warn(
          { ...want.name, reason: outcome.reason },
          'charon cannot initiate a CHILD_SA that could not be set up: its peer has to',
        );
        break;
      default:
        assertNever(outcome, 'outcome');
    }
    await clock.sleep(spacingMs, { signal });
  }

  #drop(name: ChildSaName): void {
    const key = keyOf(name);
    this.#rounds.delete(key);
    this.#limit.giveBack(name.ike, key);
  }
}
