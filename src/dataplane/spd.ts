import { type DeletePolicy, Policy, type PolicyState, ResultCode } from '../proto/index.ts';
import { checkRequiredFeatures } from './features.ts';
import { type Handle, type NativeEngine, NEVER, PolicyWord } from './native.ts';
import { type PolicyMatch, PolicyOrder } from './policy-order.ts';
import { type PolicyAct, parseAct, parsePolicyName, policyKey } from './policy-request.ts';
import { Refusal } from './refusal.ts';
import type { Author } from './sad.ts';
import type { PacketKey } from './selector.ts';

export type PolicyRecord = PolicyMatch & {
  readonly handle: Handle;
  readonly owner: string;
  readonly charonInstanceId: Uint8Array;
  readonly act: PolicyAct;
  readonly listed: Policy;
  readonly putAtMs: number;
};

export type SpdOptions = {
  readonly engine: NativeEngine;
  readonly maxPolicies: number;
  /** Milliseconds on a clock that never steps. */
  readonly now: () => number;
};

/** The Security Policy Database (RFC 4301, 4.4.1). */
export class Spd {
  readonly #engine: NativeEngine;
  readonly #maxPolicies: number;
  readonly #now: () => number;
  readonly #byKey = new Map<string, PolicyRecord>();
  readonly #byHandle = new Map<Handle, PolicyRecord>();
  readonly #inbound = new PolicyOrder<PolicyRecord>();
  readonly #outbound = new PolicyOrder<PolicyRecord>();
  readonly #words = new BigUint64Array(PolicyWord.count);
  #nextOrder = 0;

  constructor({ engine, maxPolicies, now }: SpdOptions) {
    this.#engine = engine;
    this.#maxPolicies = maxPolicies;
    this.#now = now;
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
    const key = policyKey(name, author.owner);
    const existing = this.#byKey.get(key);
    if (existing !== undefined && this.#isSame(existing, policy, author)) return { isUnchanged: true };
    if (existing === undefined && this.#byKey.size >= this.#maxPolicies) {
      throw new Refusal(ResultCode.RESULT_CODE_CAPACITY, `all ${this.#maxPolicies} policies are in use`);
    }
    const record = {
      ...name,
      ...author,
      act,
      handle: existing?.handle ?? this.#engine.addPolicy(),
      priority: policy.priority,
      order: existing?.order ?? this.#nextOrder++,
      listed: policy,
      putAtMs: this.#now(),
    };
    if (existing !== undefined) this.#order(existing).remove(existing);
    this.#order(record).insert(record);
    this.#byKey.set(key, record);
    this.#byHandle.set(record.handle, record);
    this.#engine.clearFlows();
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
    this.#engine.removePolicy(record.handle);
    return true;
  }

  /** The policy that decides about a packet. */
  lookup(isInbound: boolean, packet: PacketKey): PolicyRecord | undefined {
    return (isInbound ? this.#inbound : this.#outbound).first(packet);
  }

  byHandle(handle: Handle): PolicyRecord | undefined {
    return this.#byHandle.get(handle);
  }

  list(owner: string): readonly PolicyRecord[] {
    const all = [...this.#byKey.values()];
    return owner === '' ? all : all.filter((record) => record.owner === owner);
  }

  /** Undefined if it was removed since it was listed. */
  state(record: PolicyRecord): PolicyState | undefined {
    if (!this.#byHandle.has(record.handle)) return undefined;
    this.#engine.readPolicy(record.handle, this.#words);
    const [packets = 0n, bytes = 0n, idleMs = NEVER] = this.#words;
    return {
      policy: record.listed,
      ownerId: record.owner,
      charonInstanceId: Buffer.from(record.charonInstanceId),
      packets,
      bytes,
      idleMs: idleMs === NEVER ? undefined : idleMs,
      ageMs: BigInt(Math.round(this.#now() - record.putAtMs)),
    };
  }

  #isSame(existing: PolicyRecord, policy: Policy, author: Author): boolean {
    return (
      Buffer.compare(existing.charonInstanceId, author.charonInstanceId) === 0 &&
      Buffer.compare(Policy.encode(existing.listed).finish(), Policy.encode(policy).finish()) === 0
    );
  }

  #order(policy: PolicyMatch): PolicyOrder<PolicyRecord> {
    return policy.isInbound ? this.#inbound : this.#outbound;
  }
}
