import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import {
  Direction,
  ExpiryReason,
  type GetStatusResponse,
  type ListPoliciesRequest,
  type ListSasRequest,
  ResultCode,
} from '../../proto/index.ts';
import {
  type ContractBackend,
  EventLog,
  type LifetimeEnd,
  Lifetimes,
  Refusal,
  Revisions,
  Writers,
} from '../../server/index.ts';
import { type Clock, errorMessage, type Logger } from '../../util/index.ts';
import type { PfkeyMessage } from '../pfkey/index.ts';
import { SLOT_COUNT, SlotTable } from '../slots/index.ts';
import { adoptedSa } from './adopted-sa.ts';
import type { Via } from './algorithms.ts';
import { Applier } from './applier.ts';
import { capabilities } from './capabilities.ts';
import type { JournalEntries } from './journal.ts';
import type { PfkeyLink } from './pfkey-link.ts';
import { parsePolicyRequest } from './policy-request.ts';
import { SaReader } from './sa-reader.ts';
import { listedState, noCounters, type SaRecord } from './sa-record.ts';
import { describeSa } from './sa-request.ts';
import { SlotSurvey } from './slot-survey.ts';
import type { Surface } from './surface.ts';
import { VswSad } from './vsw-sad.ts';
import { VswSpd } from './vsw-spd.ts';

/** Far from the end of an epoch's 64 bits. */
const EPOCH_BYTES = 6;
/** vsw ends an SA by itself, but takes no other of its SPI before it was told to delete it. */
const HARD_RETRY_SECONDS = 5n;

export type BootOptions = {
  /** As configured: what vsw can do, and whether both directions share its slots. */
  readonly via: Via;
  /** How vsw is told: through PF_KEY also when it is deaf to the relay. */
  readonly through: Via;
  readonly bootId: Buffer;
  readonly surface: Surface;
  readonly links: ReadonlyMap<string, PfkeyLink>;
  readonly clock: Clock;
  readonly eventHistory: number;
  readonly surveySeconds: number;
  /** Traffic is held back until `onInSync`. */
  readonly waitsForInSync: boolean;
  /** It is held back now, and vsw is not ticking for it. */
  readonly isHeld: () => boolean;
  /** The first snapshot of charon's is in. */
  readonly onInSync: () => void;
  /** For a person. */
  readonly notes: () => readonly string[];
  readonly onChange: () => void;
  readonly logger: Logger;
};

/** How full a VRF's slots are. */
export type SlotUse = {
  readonly vrf: string;
  readonly direction: 'both' | 'inbound' | 'outbound';
  readonly used: number;
  readonly nextCollisionOdds: number;
};

const contractDirections = {
  both: Direction.DIRECTION_UNSPECIFIED,
  inbound: Direction.DIRECTION_INBOUND,
  outbound: Direction.DIRECTION_OUTBOUND,
} as const;

/** Everything of one life of vsw, from its start to its end: nothing of it outlives that. */
export class Boot implements Disposable {
  readonly backend: ContractBackend;
  readonly #options: BootOptions;
  readonly #stop = new AbortController();
  readonly #events: EventLog;
  readonly #revisions = new Revisions();
  readonly #slots: ReadonlyMap<string, SlotTable>;
  readonly #lifetimes = new Lifetimes<SaRecord>((sa, end) => this.#onLifetime(sa, end));
  readonly #sad: VswSad;
  readonly #spd: VswSpd;
  readonly #survey: SlotSurvey;

  constructor(options: BootOptions) {
    this.#options = options;
    const { via, bootId, surface, links, clock, logger, onChange } = options;
    setMaxListeners(0, this.#stop.signal);
    this.#events = new EventLog(bootId, options.eventHistory);
    const writers = new Writers(BigInt(randomBytes(EPOCH_BYTES).readUIntBE(0, EPOCH_BYTES)));
    this.#slots = new Map(
      [...links.keys()].map((vrf) => [
        vrf,
        new SlotTable(clock.now, { isShared: via === 'relay', named: () => this.#spd.outboundSpis(vrf) }),
      ]),
    );
    const reader = new SaReader((vrf) => this.#link(vrf), clock, options.isHeld);
    const vrfOf = (name: string): string => this.#vrfOf(name);
    this.#spd = new VswSpd({
      ...{ vrfOf, surface, reader, clock, through: options.through },
      sad: () => this.#sad,
      slotsOf: (vrf) => this.#slotsOf(vrf),
    });
    this.#sad = new VswSad({
      via,
      vrfOf,
      surface,
      reader,
      clock,
      slotsOf: (vrf) => this.#slotsOf(vrf),
      inboundPolicies: (vrf, pair) => this.#spd.inboundOf(vrf, pair),
      onInbound: (vrf, pair) => this.#spd.admit(vrf, pair),
      whenMoved: (vrf, pair) => this.#spd.whenMoved(vrf, pair),
    });
    this.#survey = new SlotSurvey({
      links: [...links.values()],
      slotsOf: (vrf) => this.#slotsOf(vrf),
      isOurs: (vrf, spi) => this.#sad.hasSpi(spi, vrf),
      periodMs: options.surveySeconds * 1_000,
      logger,
    });
    const applier = new Applier({
      sad: this.#sad,
      spd: this.#spd,
      slots: this.#slots,
      lifetimes: this.#lifetimes,
      writers,
      revisions: this.#revisions,
      onChange,
      logger,
    });
    this.backend = {
      bootId,
      capabilities: capabilities({
        ...{ via, bootId, vrfs: [...links.keys()] },
        waitsForInSync: options.waitsForInSync,
      }),
      writers,
      events: this.#events,
      revisions: this.#revisions,
      apply: (request) => applier.apply(request),
      listSas: (request) => this.#listSas(request),
      listPolicies: ({ ownerId }: ListPoliciesRequest) =>
        this.#spd.list(ownerId).map((record) => () => this.#spd.state(record)),
      onInSync: options.onInSync,
      status: () => this.#status(),
      now: clock.now,
      stop: this.#stop.signal,
    };
  }

  get through(): Via {
    return this.#options.through;
  }

  get slotUse(): readonly SlotUse[] {
    const directions =
      this.#options.via === 'relay' ? (['both'] as const) : (['inbound', 'outbound'] as const);
    return [...this.#slots].flatMap(([vrf, table]) =>
      directions.map((direction) => {
        const side = direction === 'both' ? 'outbound' : direction;
        return { vrf, direction, used: table.used(side), nextCollisionOdds: table.odds(side) };
      }),
    );
  }

  get saCount(): number {
    return this.#sad.list('').length;
  }

  get policyCount(): number {
    return this.#spd.list('').length;
  }

  /** What is, or may be, ours in vsw now. */
  entries(): JournalEntries {
    return {
      bootId: this.backend.bootId,
      sas: this.#sad.all().map(({ owner, charonInstanceId, request }) => ({
        owner,
        charonInstanceId,
        sa: request.listed,
      })),
      policies: this.#spd.list('').map(({ owner, charonInstanceId, request, isInVsw }) => ({
        owner,
        charonInstanceId,
        policy: request.listed,
        isThere: isInVsw,
      })),
    };
  }

  /**
   * Takes over what vsw holds: the SAs the journal knows are ours again, with keys and lifetimes as vsw has
   * them; of others only the slots. Wipes the keys of others.
   */
  adopt(vrf: string, dump: readonly PfkeyMessage[], journal: JournalEntries): void {
    const { logger, clock } = this.#options;
    const foreign: number[] = [];
    for (const message of dump) {
      const entry = journal.sas.find(({ sa }) => sa.id?.spi === message.sa?.spi);
      const request = entry && adoptedSa(entry.sa, message, { vrf, vrfOf: (name) => this.#knownVrf(name) });
      if (entry !== undefined && request !== undefined) {
        const record = this.#sad.adopt(request.sa, entry);
        this.#lifetimes.start(record, request.secondsLeft);
        continue;
      }
      message.encryptionKey?.wipe();
      message.integrityKey?.wipe();
      if (message.sa !== undefined) foreign.push(message.sa.spi);
    }
    this.#survey.note(vrf, foreign);
    logger.debug({ vrf, at: clock.now(), dumped: dump.length }, 'vsw read back');
  }

  /** Policies the journal knows; vsw cannot list its own. Unless they are there for sure they are put again. */
  adoptPolicies(journal: JournalEntries, { areThere }: { readonly areThere: boolean }): void {
    for (const { policy, isThere, ...author } of journal.policies) {
      const innerVrf = policy.id?.innerVrf ?? '';
      if (this.#knownVrf(innerVrf) === undefined) {
        this.#options.logger.warn(
          { vrf: innerVrf },
          'a policy of ours stays in vsw: its VRF is not configured',
        );
        continue;
      }
      const request = parsePolicyRequest(policy, (name) => this.#vrfOf(name));
      this.#options.surface.adoptPolicy(request);
      if (areThere && isThere) this.#spd.adopt(request, author);
    }
  }

  /** Looks from now on what others have in vsw's slots. */
  watchSlots(): void {
    this.#survey.start();
  }

  /** Looks at once. */
  surveySlots(): void {
    this.#survey.run();
  }

  /** Ends every stream, so that clients ask who is there now; wipes every key. vsw is told nothing. */
  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#survey[Symbol.dispose]();
    this.#lifetimes.stopAll();
    this.#sad.clear();
    this.#spd.clear();
  }

  #status(): Omit<GetStatusResponse, 'bootId'> {
    return {
      spiSlots: this.slotUse.map(({ vrf, direction, used, nextCollisionOdds }) => ({
        ...{ vrf, used, slots: SLOT_COUNT, collisionOdds: nextCollisionOdds },
        direction: contractDirections[direction],
      })),
      notes: [...this.#options.notes()],
    };
  }

  #listSas({ ownerId, fingerprintNonce: nonce, countersOnly }: ListSasRequest) {
    const nowMs = this.#options.clock.now();
    return this.#sad
      .list(ownerId)
      .map(
        (record) => () =>
          record.phase === 'installed'
            ? listedState(record, { nonce, isCountersOnly: countersOnly, nowMs })
            : undefined,
      );
  }

  #link(vrf: string): PfkeyLink {
    const link = this.#options.links.get(vrf);
    if (link === undefined) throw this.#noVrf(vrf);
    return link;
  }

  #slotsOf(vrf: string): SlotTable {
    const table = this.#slots.get(vrf);
    if (table === undefined) throw this.#noVrf(vrf);
    return table;
  }

  /** A contract's name of a VRF; none is the first. */
  #vrfOf(name: string): string {
    const vrf = this.#knownVrf(name);
    if (vrf === undefined) throw this.#noVrf(name);
    return vrf;
  }

  #knownVrf(name: string): string | undefined {
    const { links } = this.#options;
    const [first] = links.keys();
    if (name === '') return first;
    return links.has(name) ? name : undefined;
  }

  #noVrf(name: string): Refusal {
    const known = [...this.#options.links.keys()].join(', ');
    return new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
      `FEATURE_VRF: the driver's configuration has no VRF ${name}, only ${known} (vrfs)`,
    );
  }

  #onLifetime(record: SaRecord, end: LifetimeEnd): void {
    if (end === 'soft') {
      this.#expired(record, false);
      return;
    }
    const { logger, onChange } = this.#options;
    this.#sad
      .remove(record)
      .then((wasThere) => {
        if (!wasThere) return;
        this.#revisions.advance(record.owner);
        this.#expired(record, true);
        onChange();
      })
      .catch((error: unknown) => {
        logger.warn(
          { sa: describeSa(record.request.name), reason: errorMessage(error) },
          'an SA’s time is over and its SPI cannot be cleared from vsw, will retry',
        );
        if (!this.#stop.signal.aborted) this.#lifetimes.start(record, { soft: 0n, hard: HARD_RETRY_SECONDS });
      });
  }

  #expired(record: SaRecord, hard: boolean): void {
    const { listed, name } = record.request;
    this.#events.publish(record.owner, {
      expire: {
        id: listed.id,
        hard,
        reason: ExpiryReason.EXPIRY_REASON_TIME,
        reqid: listed.reqid,
        counters: noCounters,
      },
    });
    this.#options.logger.info(
      { reqid: listed.reqid, sa: describeSa(name), isHard: hard },
      'SA lifetime ended',
    );
  }
}
