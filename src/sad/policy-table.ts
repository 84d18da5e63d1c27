import { isSameAction } from './policy-equality.ts';
import { automaticPriority } from './policy-priority.ts';
import { type PolicyKey, type PolicyUser, policyKey, type SecurityPolicy } from './security-policy.ts';

/** A user with its place among the users of its selector. */
type RankedUser = {
  readonly user: PolicyUser;
  /** The manual priority, or the automatic one. */
  readonly priority: number;
  readonly automatic: number;
};

function rank(user: PolicyUser): RankedUser {
  const automatic = automaticPriority(user);
  return { user, automatic, priority: user.manualPriority === 0 ? automatic : user.manualPriority };
}

function hasReqid({ user: { action } }: RankedUser): boolean {
  return action.kind === 'protect' && action.template.reqid !== 0;
}

/** Of equals the newest is first, so that a rekey switches; those without a reqid yield. */
function goesBefore(added: RankedUser, present: RankedUser): boolean {
  if (added.priority !== present.priority) return added.priority < present.priority;
  if (added.automatic !== present.automatic) return added.automatic < present.automatic;
  return hasReqid(added) || !hasReqid(present);
}

function placeOf(users: readonly RankedUser[], added: RankedUser): number {
  const index = users.findIndex((present) => goesBefore(added, present));
  return index === -1 ? users.length : index;
}

function isSameUser(a: RankedUser, b: RankedUser): boolean {
  return (
    a.priority === b.priority && a.automatic === b.automatic && isSameAction(a.user.action, b.user.action)
  );
}

function policyOf(first: RankedUser | undefined): SecurityPolicy | undefined {
  if (first === undefined || first.user.id.direction === 'forward') return undefined;
  const { user, priority } = first;
  return { id: user.id, action: user.action, priority };
}

/**
 * The desired policies. charon installs the same selector once per CHILD_SA, trap and
 * shunt; each is a user of it, and the first one is in effect. Forward policies are
 * counted and never in effect.
 */
export class PolicyTable {
  readonly #users = new Map<PolicyKey, readonly RankedUser[]>();
  #forwardCount = 0;

  /** Selectors of inbound and outbound policies. */
  get size(): number {
    return this.#users.size - this.#forwardCount;
  }

  get forwardCount(): number {
    return this.#forwardCount;
  }

  add(user: PolicyUser): void {
    const key = policyKey(user.id);
    const users = this.#users.get(key);
    const added = rank(user);
    if (users === undefined && user.id.direction === 'forward') this.#forwardCount += 1;
    this.#users.set(key, users === undefined ? [added] : users.toSpliced(placeOf(users, added), 0, added));
  }

  /** Removes one user that is equal; false when there is none. */
  remove(user: PolicyUser): boolean {
    const key = policyKey(user.id);
    const users = this.#users.get(key) ?? [];
    const ranked = rank(user);
    const index = users.findIndex((present) => isSameUser(present, ranked));
    if (index === -1) return false;
    if (users.length > 1) {
      this.#users.set(key, users.toSpliced(index, 1));
    } else {
      this.#users.delete(key);
      if (user.id.direction === 'forward') this.#forwardCount -= 1;
    }
    return true;
  }

  clear(): void {
    this.#users.clear();
    this.#forwardCount = 0;
  }

  /** What the dataplane has to hold for a selector; undefined: nothing. */
  effective(key: PolicyKey): SecurityPolicy | undefined {
    return policyOf(this.#users.get(key)?.[0]);
  }

  /** What `effective` would give after `add(user)`. */
  effectiveWith(user: PolicyUser): SecurityPolicy | undefined {
    const users = this.#users.get(policyKey(user.id)) ?? [];
    const added = rank(user);
    return policyOf(placeOf(users, added) === 0 ? added : users[0]);
  }

  /** Every user, forward ones included. */
  *users(): Generator<PolicyUser, void, undefined> {
    for (const users of this.#users.values()) for (const { user } of users) yield user;
  }

  /** Every policy the dataplane has to hold. */
  *policies(): Generator<[PolicyKey, SecurityPolicy], void, undefined> {
    for (const [key, users] of this.#users) {
      const policy = policyOf(users[0]);
      if (policy !== undefined) yield [key, policy];
    }
  }
}
