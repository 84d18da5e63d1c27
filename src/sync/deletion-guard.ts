import type { CharonInstance, SaKey } from '../sad/index.ts';
import type { Clock, Logger } from '../util/index.ts';
import { BrakeWitness, type BrakeWitnessOptions } from './brake-witness.ts';
import { type Brake, Deletions, type JudgeOptions, NOTHING_WITHHELD, type Withheld } from './deletions.ts';
import type { SyncChange, SyncRequest } from './requests.ts';

export type DeletionGuardOptions = Omit<BrakeWitnessOptions, 'onTestimony'> & {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly brake: Brake;
  /** More may be deleted now than the last comparison did. */
  readonly onReleased: () => void;
};

/** Keeps what a comparison must not delete, tells people, and asks VICI about what the brake holds. */
export class DeletionGuard {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #deletions: Deletions;
  readonly #witness: BrakeWitness;
  #charonInstanceId = '';
  #charonStartedMs: number | undefined;
  #withheld = NOTHING_WITHHELD;

  constructor({ brake, onReleased, ...options }: DeletionGuardOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#deletions = new Deletions(brake);
    this.#witness = new BrakeWitness({
      ...options,
      onTestimony: (testimony) => {
        this.#deletions.onTestimony(testimony);
        if (testimony.unlisted.length > 0) onReleased();
      },
    });
  }

  /** What the last comparison left alone. */
  get withheld(): Withheld {
    return this.#withheld;
  }

  /** The charon of the snapshot, as old as it is now. */
  get charon(): CharonInstance {
    const startedMs = this.#charonStartedMs;
    const ageMs = startedMs === undefined ? undefined : Math.floor(this.#clock.now() - startedMs);
    return {
      id: this.#charonInstanceId,
      ageMs: ageMs === undefined ? undefined : BigInt(Math.max(0, ageMs)),
    };
  }

  onRequest(request: SyncRequest): void {
    this.#deletions.onRequest(request);
  }

  onChange(change: SyncChange, desired: Iterable<SaKey>): void {
    this.#deletions.onChange(change, desired);
  }

  onSnapshot(charonInstanceId: string, charonStartedMs: number | undefined): void {
    this.#deletions.onSnapshot(charonInstanceId, this.#charonInstanceId);
    this.#charonInstanceId = charonInstanceId;
    this.#charonStartedMs = charonStartedMs;
  }

  /** What of a comparison's unexpected entries would stay. */
  weigh(options: Omit<JudgeOptions, 'ignored'>): Withheld {
    return this.#deletions.weigh(options);
  }

  /** What of them stays; said when that begins. */
  judge(options: JudgeOptions): Withheld {
    const withheld = this.#deletions.judge(options);
    const { foreign, braked, brakedSas } = withheld;
    if (foreign.size > 0 && this.#withheld.foreign.size === 0) {
      this.#logger.error(
        { entries: foreign.size },
        'another charon that is running installs under our owner: its entries are left alone; give each charon an owner of its own',
      );
    }
    if (braked.size > 0 && this.#withheld.braked.size === 0) {
      this.#logger.error(
        { sas: brakedSas.length, ofAll: options.comparison.actualSas.length },
        'charon lost sight of too many SAs at once: none is deleted until two VICI listings lack it too',
      );
    }
    if (braked.size === 0 && this.#withheld.braked.size > 0) {
      this.#logger.info('the brake on deletions holds nothing any more');
    }
    this.#withheld = withheld;
    this.#witness.setHeld(brakedSas);
    return withheld;
  }
}
