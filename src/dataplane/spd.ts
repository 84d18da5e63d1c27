import { type DeletePolicy, Policy, type PolicyState, ResultCode } from '../proto/index.ts';
import { type Author, Refusal } from '../server/index.ts';
import { InvariantError } from '../util/index.ts';
import { checkRequiredFeatures } from './features.ts';
import { LeavingPolicies } from './leaving-policies.ts';
import { type Handle, type NativeEngine, NEVER, PolicyWord } from './native.ts';
import { type PolicyMatch, PolicyOrder } from './policy-order.ts';
import { type PolicyAct, parseAct, parsePolicyName, policyKey } from './policy-request.ts';
import { describeSa } from './sa-record.ts';
import type { Sad } from './sad.ts';
import { type DeviceIndex, describeScope, type Scope, type Scopes } from './scopes.ts';
import type { PacketKey } from './selector.ts';

export type PolicyRecord = PolicyMatch & {
  readonly handle: Handle;
  readonly scope: Scope;
  /** The TUN device of its scope. */
  readonly device: DeviceIndex;
  readonly owner: string;
  readonly charonInstanceId: Uint8Array;
  readonly act: PolicyAct;
  readonly listed: Policy;
  readonly putAtMs: number;
};

export type SpdOptions = {
  readonly engine: NativeEngine;
  readonly sad: Pick<Sad, 'findInbound'>;
  readonly scopes: Scopes;
  readonly maxPolicies: number;
  /** Milliseconds on a clock that never steps. */
  readonly now: () => number;
};

type Orders = Readonly<Record<'inbound' | 'outbound', PolicyOrder<PolicyRecord>>>;

/** The Security Policy Database (RFC 4301, 4.4.1): one for each TUN device. */
export class Spd {
  readonly #options: SpdOptions;
  readonly #byKey = new Map<string, PolicyRecord>();
  readonly #byHandle = new Map<Handle, PolicyRecord>();
  /** By device. */
  readonly #orders: readonly Orders[];
  readonly #leaving: LeavingPolicies;
  readonly #words = new BigUint64Array(PolicyWord.count);
  #nextOrder = 0;

  constructor(options: SpdOptions) {
    this.#options = options;
    this.#leaving = new LeavingPolicies(options.engine);
    this.#orders = Array.from({ length: options.scopes.count }, () => ({
      inbound: new PolicyOrder<PolicyRecord>(),
      outbound: new PolicyOrder<PolicyRecord>(),
    }));
  }

  get size(): number {
    return this.#byKey.size;
  }

  /**
   * Adds a policy or replaces the one with the same id, which keeps its counters and its place.
   * @throws Refusal
   */
  put(policy: Policy | undefined, author: Author): { readonly isUnchanged: boolean } {
    if (policy === undefined)
      throw new Refusal(ResultCode.RESULT_CODE_INVALID, 'put_policy without a policy');
    const name = parsePolicyName(policy.id);
    checkRequiredFeatures(policy.requiredFeatures);
    const act = parseAct(policy);
    const device = this.#options.scopes.deviceOf(name.scope);
    if (name.isInbound) this.#checkNamedSa(act, device, name.scope, author);
    const key = policyKey(name, author.owner);
    const existing = this.#byKey.get(key);
    if (existing !== undefined && this.#isSame(existing, policy, author)) return { isUnchanged: true };
    const { engine, maxPolicies } = this.#options;
    if (existing === undefined && this.#byKey.size >= maxPolicies) {
      throw new Refusal(ResultCode.RESULT_CODE_CAPACITY, `all ${maxPolicies} policies are in use`);
    }
    const record = {
      ...name,
      ...author,
      act,
      device,
      handle: existing?.handle ?? engine.addPolicy(),
      priority: policy.priority,
      order: existing?.order ?? this.#nextOrder++,
      listed: policy,
      putAtMs: this.#options.now(),
    };
    if (existing !== undefined) this.#order(existing).remove(existing);
    this.#order(record).insert(record);
    this.#byKey.set(key, record);
    this.#byHandle.set(record.handle, record);
    engine.clearFlows();
    return { isUnchanged: false };
  }

  /**
   * @returns whether it was there
   * @throws Refusal
   */
  delete(request: DeletePolicy, author: Author): boolean {
    const key = policyKey(parsePolicyName(request.id), author.owner);
    const record = this.#byKey.get(key);
    if (record === undefined) return false;
    this.#order(record).remove(record);
    this.#byKey.delete(key);
    this.#byHandle.delete(record.handle);
    this.#options.engine.removePolicy(record.handle);
    this.#leaving.add(record);
    return true;
  }

  /** The policy that decides about a packet. */
  lookup(isInbound: boolean, device: DeviceIndex, packet: PacketKey): PolicyRecord | undefined {
    return this.#order({ isInbound, device }).first(packet);
  }

  /** The inbound policy that would, had it not been deleted a moment ago; its handle is no longer in use. */
  lookupLeaving(device: DeviceIndex, packet: PacketKey): PolicyRecord | undefined {
    return this.#leaving.lookup(device, packet);
  }

  byHandle(handle: Handle): PolicyRecord | undefined {
    return this.#byHandle.get(handle);
  }

  list(owner: string): readonly PolicyRecord[] {
    const all = [...this.#byKey.values()];
    return owner === '' ? all : all.filter((record) => record.owner === owner);
  }

  /** When a packet last matched it, in milliseconds of `now`; before everything if none did. */
  lastUseMs({ handle }: PolicyRecord): number {
    const { engine, now } = this.#options;
    engine.readPolicy(handle, this.#words);
    const idleMs = this.#words[PolicyWord.idleMs] ?? NEVER;
    return idleMs === NEVER ? Number.NEGATIVE_INFINITY : now() - Number(idleMs);
  }

  /** Undefined if it was removed since it was listed. */
  state(record: PolicyRecord): PolicyState | undefined {
    if (!this.#byHandle.has(record.handle)) return undefined;
    this.#options.engine.readPolicy(record.handle, this.#words);
    const [packets = 0n, bytes = 0n, idleMs = NEVER] = this.#words;
    return {
      policy: record.listed,
      ownerId: record.owner,
      charonInstanceId: Buffer.from(record.charonInstanceId),
      packets,
      bytes,
      idleMs: idleMs === NEVER ? undefined : idleMs,
      ageMs: BigInt(Math.round(this.#options.now() - record.putAtMs)),
    };
  }

  #isSame(existing: PolicyRecord, policy: Policy, author: Author): boolean {
    return (
      Buffer.compare(existing.charonInstanceId, author.charonInstanceId) === 0 &&
      Buffer.compare(Policy.encode(existing.listed).finish(), Policy.encode(policy).finish()) === 0
    );
  }

  /**
   * The packets of an inbound SA come out of its own device: a policy for another one would say what
   * never happens. charon gives an inbound SA the mark of its policies only if `mark_in_sa` is set.
   */
  #checkNamedSa(act: PolicyAct, device: DeviceIndex, scope: Scope, { owner }: Author): void {
    if (act.kind !== 'protect' || act.template.spi === 0) return;
    const { sad, scopes } = this.#options;
    const sa = sad.findInbound(owner, act.template);
    if (sa === undefined || sa.device === device) return;
    const hint = scope.mark !== undefined && sa.name.mark === undefined ? ': set mark_in_sa = yes' : '';
    throw new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
      `a policy for ${describeScope(scope) || 'no scope'} needs an SA that is for it, but packets of the ` +
        `${describeSa(sa.name)} come out of ${scopes.nameOf(sa.device)}${hint}`,
    );
  }

  #order({ isInbound, device }: Pick<PolicyRecord, 'isInbound' | 'device'>): PolicyOrder<PolicyRecord> {
    const orders = this.#orders[device];
    if (orders === undefined) throw new InvariantError(`there is no TUN device ${device}`);
    return isInbound ? orders.inbound : orders.outbound;
  }
}
