import { ResultCode } from '../../proto/index.ts';
import { Refusal } from '../../server/index.ts';
import type { Clock } from '../../util/index.ts';
import { errnoName, type PfkeyPolicy } from '../pfkey/index.ts';
import type { PfkeyLink } from './pfkey-link.ts';
import { describePolicy, type PolicyRequest } from './policy-request.ts';
import { VISIBLE_MS } from './timing.ts';

const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
const RETRY_MS = 20;

function toPfkey({ name, act, priority }: PolicyRequest): PfkeyPolicy {
  if (act.kind !== 'protect') {
    throw new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
      `${describePolicy(name)}: vsw's PF_KEY takes no policy without an SA, so none that only discards`,
    );
  }
  return {
    direction: name.direction,
    // Inbound: the SA decides what comes out, whichever it is.
    type: name.direction === 'inbound' ? 'bypass' : 'protect',
    priority,
    source: name.source,
    destination: name.destination,
    protocol: name.protocol,
    tunnel: act.pair,
    reqid: act.reqid,
  };
}

function taken({ name }: PolicyRequest): Refusal {
  return new Refusal(
    ResultCode.RESULT_CODE_TEMPORARY,
    `${describePolicy(name)}: vsw has one that is not of this driver, and only one of a selector: delete that one`,
  );
}

/** Policies through PF_KEY. vsw binds each to the newest SA with the same outer addresses. */
export class PfkeyPolicies {
  readonly #linkOf: (vrf: string) => PfkeyLink;

  readonly #clock: Clock;
  /** By selector; also those whose adding was not answered. */
  readonly #ours = new Set<string>();

  constructor(linkOf: (vrf: string) => PfkeyLink, clock: Clock) {
    this.#linkOf = linkOf;
    this.#clock = clock;
  }

  /** One of an earlier life of this process, if it is still there. */
  adopt({ name }: Pick<PolicyRequest, 'name'>): void {
    this.#ours.add(describePolicy(name));
  }

  /** vsw is another one. */
  clear(): void {
    this.#ours.clear();
  }

  /**
   * Adds it, or binds it anew; false when there is no SA for it.
   * @throws Refusal when somebody else's of its selector stays there
   */
  async put(policy: PolicyRequest): Promise<boolean> {
    const link = this.#linkOf(policy.name.vrf);
    const request = toPfkey(policy);
    const key = describePolicy(policy.name);
    const deadlineMs = this.#clock.now() + VISIBLE_MS;
    for (;;) {
      const wasOurs = this.#ours.has(key);
      this.#ours.add(key);
      const { errno } = await link.ask({ kind: 'spd-add', ...request });
      if (errno === EEXIST && wasOurs) break;
      if (errno === 0) return true;
      if (!wasOurs) this.#ours.delete(key);
      if (errno === ENOENT) return false;
      if (errno !== EEXIST) throw this.#refused(policy, errno);
      // One of our configuration that has to go first, or somebody else's: an update would be lost with it.
      if (this.#clock.now() >= deadlineMs) throw taken(policy);
      await this.#clock.sleep(RETRY_MS);
    }
    const updated = await link.ask({ kind: 'spd-update', ...request });
    if (updated.errno === 0) return true;
    if (updated.errno === EINVAL) return false;
    throw this.#refused(policy, updated.errno);
  }

  /**
   * Has the SA work that a policy in vsw is about to be bound to: one of a selector that is there is refused, its
   * SA enabled all the same.
   */
  async enableSa(policy: PolicyRequest): Promise<void> {
    await this.#linkOf(policy.name.vrf).ask({ kind: 'spd-add', ...toPfkey(policy) });
  }

  /** If it is ours; one that was not put, or not anew for want of an SA, may be there all the same. */
  async remove(policy: PolicyRequest): Promise<void> {
    if (!this.#ours.has(describePolicy(policy.name))) return;
    const answer = await this.#linkOf(policy.name.vrf).ask({ kind: 'spd-delete', ...toPfkey(policy) });
    if (answer.errno !== 0 && answer.errno !== ENOENT) throw this.#refused(policy, answer.errno);
    this.#ours.delete(describePolicy(policy.name));
  }

  #refused({ name }: PolicyRequest, errno: number): Refusal {
    return new Refusal(
      ResultCode.RESULT_CODE_TEMPORARY,
      `${describePolicy(name)}: vsw's PF_KEY says ${errnoName(errno)}`,
    );
  }
}
