import type { Change, Relay } from '../relay/index.ts';
import { changePolicy, deletePolicy, deleteSa, setPolicy, setSa } from './config-paths.ts';
import type { PfkeyPolicies } from './pfkey-policies.ts';
import { describePolicy, type PolicyRequest } from './policy-request.ts';
import type { SaRequest } from './sa-request.ts';
import type { Surface } from './surface.ts';

/** What waits for what was announced waits no longer than that. */
const LONGEST_WAIT_MS = 50;

/**
 * Puts what is said within one turn of the event loop into one commit, with what was announced by then: vsw
 * takes commits one after the other, and each of them costs it about as much.
 */
class CommitQueue {
  readonly #relay: Pick<Relay, 'inject'>;
  #changes: Change[] = [];
  #flushed: PromiseWithResolvers<void> | undefined;
  #announced = 0;
  #isScheduled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(relay: Pick<Relay, 'inject'>) {
    this.#relay = relay;
  }

  /** More is to come soon; the function that is returned tells that it came, or does not. */
  announce(): () => void {
    this.#announced += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#announced -= 1;
      this.#schedule();
    };
  }

  /** @throws AgentError while vsw takes no configuration */
  add(changes: readonly Change[]): Promise<void> {
    this.#changes.push(...changes);
    this.#flushed ??= Promise.withResolvers();
    this.#schedule();
    return this.#flushed.promise;
  }

  #schedule(): void {
    if (this.#flushed === undefined) return;
    this.#timer ??= setTimeout(() => this.#flush(), LONGEST_WAIT_MS);
    if (this.#announced > 0 || this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#announced === 0) this.#flush();
    });
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [whole, flushed] = [this.#changes, this.#flushed];
    this.#changes = [];
    this.#flushed = undefined;
    if (flushed === undefined) return;
    try {
      this.#relay.inject(whole);
      flushed.resolve();
    } catch (error) {
      flushed.reject(error);
    }
  }
}

const anything = { address: 0, prefixLength: 0, port: 0 } as const;

/** An entry of the same name as a policy of charon's for everything, which takes its place and gives it back. */
export function defaultDiscard(vrf: string): Pick<PolicyRequest, 'name' | 'act' | 'priority'> {
  return {
    name: { vrf, direction: 'outbound', source: anything, destination: anything, protocol: 0 },
    act: { kind: 'discard' },
    priority: 0,
  };
}

function isInboundProtect({ name, act }: PolicyRequest): boolean {
  return name.direction === 'inbound' && act.kind === 'protect';
}

/**
 * SAs and outbound policies through vsw's configuration stream. An SA is in both directions' tables at once
 * and works from the next tick on.
 */
export class RelaySurface implements Surface {
  readonly #queue: CommitQueue;
  readonly #policies: PfkeyPolicies;

  constructor(relay: Pick<Relay, 'inject'>, policies: PfkeyPolicies) {
    this.#queue = new CommitQueue(relay);
    this.#policies = policies;
  }

  readonly announceSa = (): (() => void) => this.#queue.announce();

  readonly installSa = (sa: SaRequest): Promise<void> => this.#queue.add(setSa(sa));

  readonly enableInbound = (): Promise<boolean> => Promise.resolve(true);

  readonly enableOutbound = (): Promise<boolean> => Promise.resolve(true);

  readonly removeSa = (sa: SaRequest): Promise<void> => this.#queue.add(deleteSa(sa));

  readonly putPolicy = async (policy: PolicyRequest, before: PolicyRequest | undefined): Promise<boolean> => {
    const wasInbound = before !== undefined && isInboundProtect(before);
    if (isInboundProtect(policy)) {
      if (before !== undefined && !wasInbound) await this.#queue.add(deletePolicy(before.name));
      return await this.#policies.put(policy);
    }
    if (wasInbound) await this.#policies.remove(before);
    const changes = before === undefined || wasInbound ? setPolicy(policy) : changePolicy(before, policy);
    if (changes.length > 0) await this.#queue.add(changes);
    return true;
  };

  readonly adoptPolicy = (policy: PolicyRequest): void => this.#policies.adopt(policy);

  readonly removePolicy = (policy: PolicyRequest): Promise<void> => {
    if (isInboundProtect(policy)) return this.#policies.remove(policy);
    const discard = defaultDiscard(policy.name.vrf);
    const isDefault = describePolicy(policy.name) === describePolicy(discard.name);
    return this.#queue.add(isDefault ? changePolicy(policy, discard) : deletePolicy(policy.name));
  };

  /** Until policies come, and where none does: what is routed into a tunnel of the VRF does not leave in clear. */
  closeByDefault(vrf: string): Promise<void> {
    return this.#queue.add(setPolicy(defaultDiscard(vrf)));
  }
}
