import type { Clock } from '../util/index.ts';
import { Alarm } from './alarm.ts';
import { type BackOffOptions, backOffMs } from './back-off.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import type { Jitter } from './jitter.ts';

type Entry<Want> = { readonly want: Want; readonly attempts: number; readonly notBeforeMs: number };

export type WaitingWant<Want> = Entry<Want>;

export type WantRoundsOptions<Key extends string, Want> = {
  readonly clock: Clock;
  readonly tasks: BackgroundTasks;
  readonly backOff: BackOffOptions;
  /** Shortens each delay by a part of it; none unless told. */
  readonly jitter?: Jitter | undefined;
  /** Nothing is asked while it says no; after that, `wake` has to be called. */
  readonly isEnabled?: (() => boolean) | undefined;
  /**
   * Sees to what is due. What it neither deletes nor puts off (`tried`, `lookAgain`) comes again
   * at once.
   */
  readonly round: (due: readonly (readonly [Key, Want])[], signal: AbortSignal) => Promise<void>;
};

/** What charon is to be asked for: each want due in its own time, one round of asking after the other. */
export class WantRounds<Key extends string, Want> {
  readonly #options: WantRoundsOptions<Key, Want>;
  readonly #entries = new Map<Key, Entry<Want>>();
  readonly #alarm: Alarm;
  #isRunning = false;

  constructor(options: WantRoundsOptions<Key, Want>) {
    this.#options = options;
    this.#alarm = new Alarm({ ...options, ring: () => this.#startRound() });
  }

  get entries(): ReadonlyMap<Key, WaitingWant<Want>> {
    return this.#entries;
  }

  get(key: Key): Want | undefined {
    return this.#entries.get(key)?.want;
  }

  /** Another want in the place of the one with this key, due when that was; a new one after `delayMs`. */
  set(key: Key, want: Want, delayMs = 0): void {
    const known = this.#entries.get(key);
    const entry = { ...(known ?? this.#due(0, delayMs)), want };
    this.#entries.set(key, entry);
    this.#alarm.setNoLaterThan(entry.notBeforeMs);
  }

  delete(key: Key): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Charon was asked, or could not be: the next time after a back-off. */
  tried(key: Key, backOff: BackOffOptions = this.#options.backOff): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const attempts = entry.attempts + 1;
    const delayMs = backOffMs(attempts, backOff);
    this.#entries.set(key, { want: entry.want, ...this.#due(attempts, delayMs) });
  }

  /** It is not the time to ask. */
  lookAgain(key: Key, delayMs: number): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#entries.set(key, { ...entry, ...this.#due(entry.attempts, delayMs) });
  }

  /** What is due is seen to, if it can be. */
  wake(): void {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const { notBeforeMs } of this.#entries.values()) dueMs = Math.min(dueMs, notBeforeMs);
    if (Number.isFinite(dueMs)) this.#alarm.setNoLaterThan(dueMs);
  }

  #due(attempts: number, delayMs: number): Omit<Entry<Want>, 'want'> {
    const { clock, jitter } = this.#options;
    const pauseMs = jitter === undefined ? delayMs : Math.ceil(delayMs * jitter());
    return { attempts, notBeforeMs: clock.now() + pauseMs };
  }

  #startRound(): void {
    const { clock, tasks, isEnabled, round } = this.#options;
    if (this.#isRunning || isEnabled?.() === false) return;
    this.#isRunning = true;
    tasks.spawn(async (signal) => {
      try {
        const due = [...this.#entries].filter(([, { notBeforeMs }]) => notBeforeMs <= clock.now());
        if (due.length > 0) {
          await round(
            due.map(([key, { want }]) => [key, want] as const),
            signal,
          );
        }
      } finally {
        this.#isRunning = false;
      }
      this.wake();
    });
  }
}
