import type { Address } from './address.ts';
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
  return Number(selector.last - selector.first + 1n) * ports * (selector.protocol === 0 ? 2 : 1);
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
    policy.source.family === packet.family &&
    selectorMatches(policy.source, packet.source, packet.protocol, packet.sourcePort) &&
    selectorMatches(policy.destination, packet.destination, packet.protocol, packet.destinationPort)
  );
}

/** Policies in the order in which they are matched. */
class SortedPolicies<P extends PolicyMatch> {
  readonly #sorted: P[] = [];

  get isEmpty(): boolean {
    return this.#sorted.length === 0;
  }

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

/** A block of 2^8 addresses: what most gateways have behind them is not larger. */
const BLOCK_BITS = 8n;

/** The block that has all addresses of a side; undefined when none has. */
function blockOf({ first, last }: Selector): bigint | undefined {
  const block = first >> BLOCK_BITS;
  return block === last >> BLOCK_BITS ? block : undefined;
}

type Shelf<P extends PolicyMatch> = {
  readonly blocks: Map<bigint, SortedPolicies<P>>;
  readonly block: bigint;
};

/**
 * Policies of one direction, to be found in the order in which they are matched. Every change of an SA
 * empties the flow cache, so a gateway with thousands of tunnels looks up all the time: a policy
 * with a side that lies within one block of addresses is only looked at for packets of that block.
 */
export class PolicyOrder<P extends PolicyMatch> {
  readonly #bySource = new Map<bigint, SortedPolicies<P>>();
  readonly #byDestination = new Map<bigint, SortedPolicies<P>>();
  readonly #wide = new SortedPolicies<P>();

  insert(policy: P): void {
    const shelf = this.#shelfOf(policy);
    if (shelf === undefined) {
      this.#wide.insert(policy);
      return;
    }
    const policies = shelf.blocks.get(shelf.block) ?? new SortedPolicies<P>();
    shelf.blocks.set(shelf.block, policies);
    policies.insert(policy);
  }

  remove(policy: P): void {
    const shelf = this.#shelfOf(policy);
    if (shelf === undefined) {
      this.#wide.remove(policy);
      return;
    }
    const policies = shelf.blocks.get(shelf.block);
    policies?.remove(policy);
    if (policies?.isEmpty === true) shelf.blocks.delete(shelf.block);
  }

  first(packet: PacketKey): P | undefined {
    const candidates = [
      this.#bySource.get(blockAt(packet.source))?.first(packet),
      this.#byDestination.get(blockAt(packet.destination))?.first(packet),
      this.#wide.first(packet),
    ];
    let first: P | undefined;
    for (const policy of candidates) {
      if (policy !== undefined && (first === undefined || comparePolicies(policy, first) < 0)) first = policy;
    }
    return first;
  }

  /** By the remote side if it can be: the local one is the same for most. Undefined: by neither. */
  #shelfOf({ isInbound, source, destination }: P): Shelf<P> | undefined {
    const bySource = { blocks: this.#bySource, block: blockOf(source) };
    const byDestination = { blocks: this.#byDestination, block: blockOf(destination) };
    for (const { blocks, block } of isInbound ? [bySource, byDestination] : [byDestination, bySource]) {
      if (block !== undefined) return { blocks, block };
    }
    return undefined;
  }
}

function blockAt(address: Address): bigint {
  return address >> BLOCK_BITS;
}
