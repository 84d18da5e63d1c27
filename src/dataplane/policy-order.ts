import { PolicyTree, type TreeEntry } from './policy-tree.ts';
import { isAnyPort, type PacketKey, type Selector, selectorMatches } from './selector.ts';
import { boxOf, locate, newPoint } from './selector-box.ts';

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

function policyMatches(policy: PolicyMatch, packet: PacketKey): boolean {
  return (
    policy.source.family === packet.family &&
    selectorMatches(policy.source, packet.source, packet.protocol, packet.sourcePort) &&
    selectorMatches(policy.destination, packet.destination, packet.protocol, packet.destinationPort)
  );
}

type Entry<P extends PolicyMatch> = TreeEntry & {
  readonly policy: P;
  readonly priority: number;
  readonly width: number;
  readonly order: number;
};

/** Lower priority first, then the narrower selector, then the older one. */
function compareEntries<P extends PolicyMatch>(a: Entry<P>, b: Entry<P>): number {
  return a.priority - b.priority || a.width - b.width || a.order - b.order;
}

/**
 * Policies of one direction, to be found in the order in which they are matched. Every change of an SA
 * empties the flow cache, so a gateway with thousands of tunnels looks up all the time.
 */
export class PolicyOrder<P extends PolicyMatch> {
  /** IPv4 addresses lie within the IPv6 ones, and are not among them. */
  readonly #trees = {
    4: new PolicyTree<Entry<P>>(compareEntries),
    6: new PolicyTree<Entry<P>>(compareEntries),
  } as const;
  readonly #entries = new Map<P, Entry<P>>();
  readonly #point = newPoint();

  insert(policy: P): void {
    const { source, destination, priority, order } = policy;
    const entry = {
      policy,
      priority,
      order,
      width: width(source) * width(destination),
      box: boxOf(source, destination),
    };
    this.#entries.set(policy, entry);
    this.#trees[source.family].insert(entry);
  }

  remove(policy: P): void {
    const entry = this.#entries.get(policy);
    if (entry === undefined) return;
    this.#entries.delete(policy);
    this.#trees[policy.source.family].remove(entry);
  }

  first(packet: PacketKey): P | undefined {
    locate(packet, this.#point);
    const tree = this.#trees[packet.family];
    return tree.first(this.#point, ({ policy }) => policyMatches(policy, packet))?.policy;
  }
}
