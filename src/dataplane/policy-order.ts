import { isAnyPort, type PacketKey, type Selector, selectorMatches } from './selector.ts';

/** What of a policy decides whether and when it is matched. */
export type PolicyMatch = {
  readonly isInbound: boolean;
  readonly source: Selector;
  readonly destination: Selector;
  readonly priority: number;
  /** Position among equals: the order of their arrival. */
  readonly order: number;
};

function width(selector: Selector): number {
  const ports = isAnyPort(selector) ? 2 : 1;
  return (selector.last - selector.first + 1) * ports * (selector.protocol === 0 ? 2 : 1);
}

/** Lower priority first, then the narrower selector, then the older one. */
export function comparePolicies(a: PolicyMatch, b: PolicyMatch): number {
  return (
    a.priority - b.priority ||
    width(a.source) * width(a.destination) - width(b.source) * width(b.destination) ||
    a.order - b.order
  );
}

export function policyMatches(policy: PolicyMatch, packet: PacketKey): boolean {
  return (
    selectorMatches(policy.source, packet.source, packet.protocol, packet.sourcePort) &&
    selectorMatches(policy.destination, packet.destination, packet.protocol, packet.destinationPort)
  );
}

/** Policies of one direction in the order in which they are matched. */
export class PolicyOrder<P extends PolicyMatch> {
  readonly #sorted: P[] = [];

  insert(policy: P): void {
    this.#sorted.splice(this.#position(policy), 0, policy);
  }

  remove(policy: P): void {
    const at = this.#position(policy);
    if (this.#sorted[at] === policy) this.#sorted.splice(at, 1);
  }

  first(packet: PacketKey): P | undefined {
    return this.#sorted.find((policy) => policyMatches(policy, packet));
  }

  /** Where it is, or belongs. */
  #position(policy: P): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#sorted[middle];
      if (at !== undefined && comparePolicies(at, policy) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
