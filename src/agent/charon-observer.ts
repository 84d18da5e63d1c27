import {
  countAbsences,
  LISTINGS_FOR_ABSENCE,
  type Listing,
  type ObservedSa,
  observedKey,
  type SaKey,
  saKey,
} from '../sad/index.ts';
import { type CallOptions, SaJournal } from '../sync/index.ts';
import { AgentError, type Clock } from '../util/index.ts';
import type { ViciClient, ViciSubscription } from '../vici/index.ts';
import type { LinkStatus } from './link-status.ts';
import { keepConnected } from './reconnect.ts';
import type { AuditReport } from './reports.ts';
import { toObservedSas } from './vici-to-sad.ts';

/** After any of them there may be something new to list. */
const EVENTS = ['ike-updown', 'child-updown', 'ike-rekey', 'child-rekey', 'ike-update'] as const;

/** Between two listings at least, however many events there are. */
const SHORTEST_PAUSE_MS = 500;
/** A listing costs charon as long as it takes: no more than a tenth of its time goes into them. */
const PAUSE_PER_LISTING = 9;

export type CharonObserverOptions = {
  readonly client: Pick<ViciClient, 'version' | 'subscribe' | 'listSasComplete'>;
  readonly intervalMs: number;
  readonly status: LinkStatus;
  readonly clock: Clock;
};

/** Enough for two complete ones with busy moments between; what is older is no evidence any more. */
const LISTINGS_KEPT = 2 * LISTINGS_FOR_ABSENCE;

/**
 * Lists a stock charon's SAs again and again: after its events, after a gap in them, and at an
 * interval. It only looks; what is gone is gone when two complete listings lack it.
 */
export class CharonObserver {
  readonly journal: SaJournal;
  readonly #options: CharonObserverOptions;
  /** The newest last. */
  #listings: readonly Listing[] = [];
  #sas: ReadonlyMap<string, ObservedSa> = new Map();
  #childIds: readonly number[] = [];
  #looking: Promise<void> = Promise.resolve();
  #wake = Promise.withResolvers<void>();
  #completeListings = 0;
  #incompleteListings = 0;
  #lastCompleteMs: number | undefined;

  constructor(options: CharonObserverOptions) {
    this.#options = options;
    this.journal = new SaJournal({ clock: options.clock });
  }

  /** The last listing's by `observedKey`, complete or not. */
  get sas(): ReadonlyMap<string, ObservedSa> {
    return this.#sas;
  }

  /** Undefined before the first one. */
  get isLastComplete(): boolean | undefined {
    return this.#listings.at(-1)?.isComplete;
  }

  /** In how many complete listings in a row an SA is absent that exists since `sinceMs` on the clock. */
  absences(key: string, sinceMs: number): number {
    return countAbsences(this.#listings, key, sinceMs);
  }

  report(): AuditReport {
    const lastMs = this.#lastCompleteMs;
    return {
      completeListings: this.#completeListings,
      incompleteListings: this.#incompleteListings,
      lastCompleteSecondsAgo:
        lastMs === undefined ? null : Math.round((this.#options.clock.now() - lastMs) / 1000),
      findings: [],
    };
  }

  /** Connects, looks and looks again until the signal aborts. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { status, clock } = this.#options;
    await keepConnected(
      (established) => this.#follow(established, signal),
      (reason) => status.lost(reason),
      { clock, signal },
    );
  }

  /**
   * Lists now; one listing at a time.
   *
   * @throws AgentError when charon does not answer
   */
  async look({ signal }: CallOptions = {}): Promise<void> {
    const previous = this.#looking;
    const own = Promise.allSettled([previous]).then(() => this.#lookOnce(signal));
    this.#looking = own;
    await own;
  }

  async #follow(established: () => void, signal: AbortSignal): Promise<void> {
    const { client, status } = this.#options;
    const ending = new AbortController();
    const limited = AbortSignal.any([signal, ending.signal]);
    const version = await client.version({ signal });
    // Registered before the first listing, so that nothing between the two is missed.
    await using subscription = await client.subscribe(EVENTS, { signal: limited });
    status.connected(`${version.daemon} ${version.version}`);
    established();
    const tasks = [this.#listen(subscription), this.#lookAgain(limited)];
    try {
      await Promise.race(tasks);
    } finally {
      ending.abort(
        new AgentError('the connection to charon ended', { code: 'unavailable', retryable: true }),
      );
      await Promise.allSettled(tasks);
    }
  }

  /** Whatever it is, a gap too: look again. */
  async #listen(subscription: ViciSubscription): Promise<void> {
    for await (const _message of subscription.messages()) this.#wake.resolve();
  }

  async #lookAgain(signal: AbortSignal): Promise<never> {
    const { clock, intervalMs } = this.#options;
    for (;;) {
      this.#wake = Promise.withResolvers();
      const startMs = clock.now();
      await this.look({ signal });
      const pauseMs = Math.max(SHORTEST_PAUSE_MS, (clock.now() - startMs) * PAUSE_PER_LISTING);
      await clock.sleep(pauseMs, { signal });
      await this.#untilWoken(Math.max(0, intervalMs - pauseMs), signal);
    }
  }

  async #untilWoken(delayMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const slept = this.#options.clock.sleep(delayMs, { signal: AbortSignal.any([signal, woken.signal]) });
    await Promise.race([slept, this.#wake.promise]);
    woken.abort(new AgentError('woken', { code: 'aborted' }));
    await Promise.allSettled([slept]);
  }

  async #lookOnce(signal: AbortSignal | undefined): Promise<void> {
    const { client, clock } = this.#options;
    const askedMs = clock.now();
    const { ikeSas, isComplete } = await client.listSasComplete({ signal, knownChildIds: this.#childIds });
    const sas = new Map<string, ObservedSa>();
    const childIds: number[] = [];
    for (const ike of ikeSas.values()) {
      childIds.push(...ike.children.keys());
      for (const sa of toObservedSas(ike)) sas.set(observedKey(sa.id), sa);
    }
    this.#childIds = childIds;
    if (isComplete) {
      this.#completeListings += 1;
      this.#lastCompleteMs = clock.now();
    } else this.#incompleteListings += 1;
    this.#sas = sas;
    const keys = new Set(sas.keys());
    const listing: Listing = { askedMs, isComplete, has: (key) => keys.has(key) };
    this.#listings = [...this.#listings, listing].slice(-LISTINGS_KEPT);
    this.#note(sas);
  }

  #note(sas: ReadonlyMap<string, ObservedSa>): void {
    for (const { id, isSettled } of sas.values()) {
      this.journal.note(saKey(id), 'listed', isSettled ? undefined : 'being replaced or deleted');
    }
    const isThere = (key: SaKey): boolean => this.absences(key, -1) < LISTINGS_FOR_ABSENCE;
    this.journal.keepOnly({ has: isThere }, 'left', 'not in two complete listings');
  }
}
