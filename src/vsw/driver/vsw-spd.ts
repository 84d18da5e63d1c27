import { type DeletePolicy, Policy, type PolicyState, ResultCode } from '../../proto/index.ts';
import { type Author, Refusal } from '../../server/index.ts';
import type { Clock } from '../../util/index.ts';
import type { OuterPair } from '../pfkey/index.ts';
import type { SlotTable } from '../slots/index.ts';
import type { Via } from './algorithms.ts';
import { describePolicy, type PolicyRequest, parsePolicyName, parsePolicyRequest } from './policy-request.ts';
import type { SaReader } from './sa-reader.ts';
import type { SaRecord } from './sa-record.ts';
import { describeSa } from './sa-request.ts';
import { isSameScope } from './scope.ts';
import type { Surface } from './surface.ts';
import { effectiveMs, MATURE_MS, PUSHED_MS } from './timing.ts';
import type { VswSad } from './vsw-sad.ts';

/**
 * vsw's cores take 1024 rules of a VRF and direction, one of them vsw's own and one the default that discards;
 * with one more they keep those they have, and change nothing any more.
 */
export const MAX_POLICIES = 1022;

export type PolicyRecord = Author & {
  request: PolicyRequest;
  /** Of the clock. */
  putAtMs: number;
  /** False while it waits for an SA of its outer addresses: nothing matches it, nothing comes through. */
  isInVsw: boolean;
  /** What is being done with it, or was last; never rejects. */
  busy: Promise<void>;
};

export type VswSpdOptions = {
  readonly through: Via;
  readonly vrfOf: (name: string) => string;
  readonly surface: Surface;
  readonly reader: SaReader;
  readonly sad: () => VswSad;
  readonly slotsOf: (vrf: string) => SlotTable;
  readonly clock: Clock;
};

function isOfPair({ name, act }: PolicyRequest, vrf: string, pair: OuterPair): boolean {
  return (
    name.vrf === vrf &&
    act.kind === 'protect' &&
    act.pair.source === pair.source &&
    act.pair.destination === pair.destination
  );
}

/** The policies of ours in vsw. */
export class VswSpd {
  readonly #options: VswSpdOptions;
  readonly #byKey = new Map<string, PolicyRecord>();
  /** How many are on their way into vsw: one commit has no more. */
  #putting = 0;
  /** Policies on their way to another SA. */
  readonly #moving = new Map<PolicyRequest, Promise<unknown>>();

  constructor(options: VswSpdOptions) {
    this.#options = options;
  }

  list(owner: string): readonly PolicyRecord[] {
    const all = [...this.#byKey.values()];
    return owner === '' ? all : all.filter((record) => record.owner === owner);
  }

  /**
   * Resolves when it is in force: an outbound policy a tick after vsw was told, so that what it left behind
   * can be deleted without losing a packet.
   * @throws Refusal
   */
  put(policy: Policy | undefined, author: Author): Promise<{ isUnchanged: boolean }> {
    try {
      const request = parsePolicyRequest(policy, this.#options.vrfOf);
      const key = describePolicy(request.name);
      const existing = this.#byKey.get(key);
      this.#check(key, request, existing, author);
      const { clock } = this.#options;
      const record = existing ?? this.#insert(key, { ...author, request, putAtMs: clock.now() });
      const before = record.busy;
      this.#putting += 1;
      const putting = before
        .then(() => this.#put(key, record, request, author))
        .finally(() => {
          this.#putting -= 1;
        });
      record.busy = putting.then(
        () => undefined,
        () => undefined,
      );
      return putting;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** One of an earlier life of this process. */
  adopt(request: PolicyRequest, author: Author): void {
    const record = this.#insert(describePolicy(request.name), {
      ...author,
      request,
      putAtMs: this.#options.clock.now(),
    });
    record.isInVsw = true;
  }

  /** @returns whether it was there */
  async delete(request: DeletePolicy, author: Author): Promise<boolean> {
    const key = describePolicy(parsePolicyName(request.id, this.#options.vrfOf));
    const record = this.#byKey.get(key);
    if (record === undefined || record.owner !== author.owner) return false;
    if (!isSameScope(record.request.listed.id, request.id)) return false;
    const deleting = record.busy.then(async () => {
      if (this.#byKey.get(key) !== record) return false;
      await this.#options.surface.removePolicy(record.request);
      this.#byKey.delete(key);
      return true;
    });
    record.busy = deleting.then(
      () => undefined,
      () => undefined,
    );
    return await deleting;
  }

  /** Inbound ones that are for SAs of these outer addresses. */
  inboundOf(vrf: string, pair: OuterPair): readonly PolicyRequest[] {
    return [...this.#byKey.values()].flatMap(({ request, isInVsw }) =>
      isInVsw && request.name.direction === 'inbound' && isOfPair(request, vrf, pair) ? [request] : [],
    );
  }

  /** What outbound policies of a VRF name, whether there is such an SA or not. */
  *outboundSpis(vrf: string): Generator<number, void, undefined> {
    for (const { request } of this.#byKey.values()) {
      const { name, act } = request;
      if (name.vrf === vrf && name.direction === 'outbound' && act.kind === 'protect') yield act.spi;
    }
  }

  /** Through PF_KEY resolves when no policy of these outer addresses is moving: an SA that comes now would get it. */
  async whenMoved(vrf: string, pair: OuterPair): Promise<void> {
    if (this.#options.through === 'relay') return;
    const moving = [...this.#moving].filter(([policy]) => isOfPair(policy, vrf, pair));
    await Promise.allSettled(moving.map(([, done]) => done));
  }

  /** Puts those into vsw that waited for an SA of these outer addresses. */
  async admit(vrf: string, pair: OuterPair): Promise<void> {
    for (const record of this.#byKey.values()) {
      const { request, isInVsw } = record;
      if (isInVsw || request.name.direction === 'outbound' || !isOfPair(request, vrf, pair)) continue;
      record.isInVsw = await this.#options.surface.putPolicy(record.request, undefined);
    }
  }

  state(record: PolicyRecord): PolicyState {
    return {
      policy: record.request.listed,
      ownerId: record.owner,
      charonInstanceId: Buffer.from(record.charonInstanceId),
      packets: 0n,
      bytes: 0n,
      idleMs: undefined,
      ageMs: BigInt(Math.round(this.#options.clock.now() - record.putAtMs)),
    };
  }

  clear(): void {
    this.#byKey.clear();
  }

  #insert(key: string, fields: Omit<PolicyRecord, 'busy' | 'isInVsw'>): PolicyRecord {
    const record = { ...fields, isInVsw: false, busy: Promise.resolve() };
    this.#byKey.set(key, record);
    return record;
  }

  #check(key: string, request: PolicyRequest, existing: PolicyRecord | undefined, author: Author): void {
    if (existing !== undefined && existing.owner !== author.owner) {
      throw new Refusal(
        ResultCode.RESULT_CODE_INVALID,
        `${key} belongs to another owner: vsw has one of a selector`,
      );
    }
    if (existing !== undefined && !isSameScope(existing.request.listed.id, request.listed.id)) {
      throw new Refusal(
        ResultCode.RESULT_CODE_INVALID,
        `${key} has another if_id or mark already: give each a VRF of its own, vsw has one of a selector`,
      );
    }
    const inVrf = [...this.#byKey.values()].filter((record) => record.request.name.vrf === request.name.vrf);
    if (existing === undefined && inVrf.length >= MAX_POLICIES) {
      throw new Refusal(
        ResultCode.RESULT_CODE_CAPACITY,
        `all ${MAX_POLICIES} policies of a VRF of vsw are in use`,
      );
    }
  }

  async #put(
    key: string,
    record: PolicyRecord,
    request: PolicyRequest,
    author: Author,
  ): Promise<{ isUnchanged: boolean }> {
    const { surface, clock, through } = this.#options;
    const isNew = !record.isInVsw;
    const waitMs = effectiveMs(this.#putting);
    if (this.#byKey.get(key) !== record) {
      throw new Refusal(ResultCode.RESULT_CODE_TEMPORARY, `${key} was deleted meanwhile: try again`);
    }
    if (!isNew && this.#isSame(record, request, author)) return { isUnchanged: true };
    try {
      // Of one batch with its SA: through PF_KEY vsw takes it only behind that.
      if (through === 'pfkey') await this.#saOf(request, author)?.busy;
      const sa = this.#saOf(request, author);
      this.#checkBinding(request, sa);
      this.#checkSlot(request);
      const left = isNew ? undefined : this.#saOf(record.request, author);
      if (isNew || sa === undefined) {
        record.isInVsw = await surface.putPolicy(request, isNew ? undefined : record.request);
      } else record.isInVsw = await this.#move(record.request, request, sa);
      if (!record.isInVsw && request.name.direction === 'outbound') {
        throw new Refusal(ResultCode.RESULT_CODE_TEMPORARY, `${key}: vsw has no SA for it`);
      }
      Object.assign(record, { request, charonInstanceId: author.charonInstanceId, putAtMs: clock.now() });
      if (left !== undefined && left !== sa) left.usedUntilMs = clock.now() + waitMs;
    } catch (error) {
      if (isNew) this.#byKey.delete(key);
      throw error instanceof Refusal
        ? error
        : new Refusal(
            ResultCode.RESULT_CODE_TEMPORARY,
            `${key}: ${error instanceof Error ? error.message : String(error)}`,
          );
    }
    if (request.name.direction === 'outbound') await clock.sleep(waitMs);
    return { isUnchanged: false };
  }

  #isSame(record: PolicyRecord, { listed }: PolicyRequest, author: Author): boolean {
    return (
      Buffer.compare(record.charonInstanceId, author.charonInstanceId) === 0 &&
      Buffer.compare(Policy.encode(record.request.listed).finish(), Policy.encode(listed).finish()) === 0
    );
  }

  /** The outbound SA a policy names, if it is there. */
  #saOf({ name, act }: PolicyRequest, author: Author): SaRecord | undefined {
    if (name.direction !== 'outbound' || act.kind !== 'protect') return undefined;
    const sa = this.#options
      .sad()
      .get({ direction: 'outbound', spi: act.spi, destination: act.pair.destination });
    return sa !== undefined && sa.owner === author.owner && sa.request.vrf === name.vrf ? sa : undefined;
  }

  /** Through PF_KEY a policy cannot choose its SA. */
  #checkBinding({ name, act }: PolicyRequest, sa: SaRecord | undefined): void {
    const { through, sad } = this.#options;
    if (through === 'relay' || name.direction !== 'outbound' || act.kind !== 'protect') return;
    const newest = sad().newestOf(name.vrf, act.pair);
    if (newest !== undefined && newest === sa) return;
    throw new Refusal(
      newest === undefined ? ResultCode.RESULT_CODE_TEMPORARY : ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
      newest === undefined
        ? `${describePolicy(name)}: vsw's PF_KEY takes a policy only after its SA`
        : `${describePolicy(name)}: vsw's PF_KEY binds a policy to the newest SA of the same outer addresses, ` +
            `which is the ${describeSa(newest.request.name)}`,
    );
  }

  /** vsw sends by the slot of a policy's SPI, and does not look whose SA is in it. */
  #checkSlot({ name, act }: PolicyRequest): void {
    if (name.direction !== 'outbound' || act.kind !== 'protect') return;
    const stranger = this.#options.slotsOf(name.vrf).stranger(act.spi);
    if (stranger === undefined) return;
    const [named, other] = [act.spi, stranger.spi].map((spi) => spi.toString(16).padStart(8, '0'));
    throw new Refusal(
      ResultCode.RESULT_CODE_TEMPORARY,
      `${describePolicy(name)}: there is no SA ${named}, and its slot is that of SA ${other}, by which vsw would send`,
    );
  }

  /** A policy that moves before its new SA works would lose packets. */
  async #move(from: PolicyRequest, to: PolicyRequest, sa: SaRecord): Promise<boolean> {
    const { surface } = this.#options;
    const moving = (async () => {
      await this.#awaitMature(to, sa);
      return await surface.putPolicy(to, from);
    })();
    this.#moving.set(to, moving);
    return await moving.finally(() => this.#moving.delete(to));
  }

  async #awaitMature(policy: PolicyRequest, sa: SaRecord): Promise<void> {
    const { surface, reader, clock } = this.#options;
    await sa.busy;
    if (!(await surface.enableOutbound(policy))) await clock.sleep(PUSHED_MS);
    else if (!(await reader.until(sa.request, 'mature', MATURE_MS))) {
      throw new Refusal(
        ResultCode.RESULT_CODE_TEMPORARY,
        `${describeSa(sa.request.name)}: vsw has not handed it to its cores within ${MATURE_MS} ms`,
      );
    }
  }
}
