import { ResultCode } from '../../proto/index.ts';
import { Refusal } from '../../server/index.ts';
import { errnoName, type PfkeyPolicy } from '../pfkey/index.ts';
import type { PfkeyLink } from './pfkey-link.ts';
import { describePolicy, type PolicyRequest } from './policy-request.ts';

const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;

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

/** Policies through PF_KEY. vsw binds each to the newest SA with the same outer addresses. */
export class PfkeyPolicies {
  readonly #linkOf: (vrf: string) => PfkeyLink;

  constructor(linkOf: (vrf: string) => PfkeyLink) {
    this.#linkOf = linkOf;
  }

  /** Adds it, or binds it anew; false when there is no SA for it. */
  async put(policy: PolicyRequest): Promise<boolean> {
    const link = this.#linkOf(policy.name.vrf);
    const request = toPfkey(policy);
    const added = await link.ask({ kind: 'spd-add', ...request });
    if (added.errno === 0) return true;
    if (added.errno === ENOENT) return false;
    if (added.errno !== EEXIST) throw this.#refused(policy, added.errno);
    const updated = await link.ask({ kind: 'spd-update', ...request });
    if (updated.errno === 0) return true;
    if (updated.errno === EINVAL) return false;
    throw this.#refused(policy, updated.errno);
  }

  async remove(policy: PolicyRequest): Promise<void> {
    const answer = await this.#linkOf(policy.name.vrf).ask({ kind: 'spd-delete', ...toPfkey(policy) });
    if (answer.errno !== 0 && answer.errno !== ENOENT) throw this.#refused(policy, answer.errno);
  }

  #refused({ name }: PolicyRequest, errno: number): Refusal {
    return new Refusal(
      ResultCode.RESULT_CODE_TEMPORARY,
      `${describePolicy(name)}: vsw's PF_KEY says ${errnoName(errno)}`,
    );
  }
}
