import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Address, mappedIpv4 } from '../../src/dataplane/address.ts';
import { type PolicyMatch, PolicyOrder } from '../../src/dataplane/policy-order.ts';
import type { PacketKey, Selector } from '../../src/dataplane/selector.ts';

const anyPort = { firstPort: 0, lastPort: 65535 };
const family = 4 as const;

/** A block of addresses and a half: a small number is within one block, at an end of it or in the next one. */
const addressOf = (small: number): Address => mappedIpv4(small < 8 ? small : 0x100 - 12 + small);
const address = fc.nat(16).map(addressOf);

/** Small spaces, so that policies overlap and packets hit them. */
const selector: fc.Arbitrary<Selector> = fc
  .record({
    range: fc.tuple(fc.nat(15), fc.nat(15)),
    ports: fc.constantFrom(
      anyPort,
      anyPort,
      { firstPort: 3, lastPort: 5 },
      { firstPort: 65535, lastPort: 0 },
    ),
    protocol: fc.constantFrom(0, 0, 6, 17),
  })
  .map(({ range: [a, b], ports, protocol }) => ({
    family,
    first: addressOf(Math.min(a, b)),
    last: addressOf(Math.max(a, b)),
    ...ports,
    protocol,
  }));

const packet: fc.Arbitrary<PacketKey> = fc.record({
  family: fc.constant(family),
  source: address,
  destination: address,
  protocol: fc.constantFrom(1, 6, 17),
  sourcePort: fc.constantFrom(-1, 3, 4, 9),
  destinationPort: fc.constantFrom(-1, 3, 4, 9),
});

const policies: fc.Arbitrary<PolicyMatch[]> = fc
  .array(
    fc.record({ source: selector, destination: selector, priority: fc.nat(3), isInbound: fc.boolean() }),
    { maxLength: 30 },
  )
  .map((list) => list.map((match, order) => ({ ...match, order })));

/** RFC 4301, 4.4.1, by the letter and without an order kept. */
function naive(list: readonly PolicyMatch[], key: PacketKey): PolicyMatch | undefined {
  const sideMatches = (s: Selector, address: Address, port: number): boolean => {
    const isPortGood =
      (s.firstPort === 0 && s.lastPort === 65535) ||
      (s.firstPort > s.lastPort ? port === -1 : port >= s.firstPort && port <= s.lastPort);
    return s.first <= address && address <= s.last && [0, key.protocol].includes(s.protocol) && isPortGood;
  };
  const size = ({ first, last, firstPort, lastPort, protocol }: Selector): number =>
    Number(last - first + 1n) * (firstPort === 0 && lastPort === 65535 ? 2 : 1) * (protocol === 0 ? 2 : 1);
  const rank = (p: PolicyMatch): readonly number[] => [
    p.priority,
    size(p.source) * size(p.destination),
    p.order,
  ];
  return list
    .filter(
      (p) =>
        sideMatches(p.source, key.source, key.sourcePort) &&
        sideMatches(p.destination, key.destination, key.destinationPort),
    )
    .sort((a, b) => {
      const [x, y] = [rank(a), rank(b)];
      const at = x.findIndex((value, index) => value !== y[index]);
      return at < 0 ? 0 : (x[at] ?? 0) - (y[at] ?? 0);
    })[0];
}

describe('the order of policies', () => {
  it('finds what a naive search over all of them finds, also after removals', () => {
    fc.assert(
      fc.property(
        policies,
        fc.array(fc.nat(29)),
        fc.array(packet, { minLength: 1, maxLength: 20 }),
        (list, gone, packets) => {
          const order = new PolicyOrder<PolicyMatch>();
          for (const policy of list) order.insert(policy);
          const removed = new Set(gone.map((index) => list[index]));
          for (const policy of removed) if (policy !== undefined) order.remove(policy);
          const left = list.filter((policy) => !removed.has(policy));
          for (const key of packets) assert.equal(order.first(key), naive(left, key));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('looks at as many of 50,000 policies as of 1,000, and compares few to find a place', () => {
    const work = (count: number): { readonly looked: number; readonly compared: number } => {
      let reads = 0;
      const order = new PolicyOrder<PolicyMatch>();
      for (let index = 0; index < count; index += 1) {
        const first = mappedIpv4(index * 16);
        const remote = { family, first, last: first + 15n, ...anyPort, protocol: 0 } as const;
        const local = {
          family,
          first: mappedIpv4(0xc0000000),
          last: mappedIpv4(0xc000ffff),
          ...anyPort,
          protocol: 0,
        } as const;
        order.insert({
          isInbound: false,
          source: local,
          // What a lookup reads first, and a comparison of two of equal priority after it.
          get destination() {
            reads += 1;
            return remote;
          },
          priority: 1,
          order: index,
        });
      }
      const compared = reads / count;
      reads = 0;
      const key = {
        family,
        source: mappedIpv4(0xc0000001),
        destination: mappedIpv4((count - 1) * 16),
        protocol: 6,
        sourcePort: 1,
        destinationPort: 1,
      } as const;
      assert.equal(order.first(key)?.order, count - 1);
      return { looked: reads, compared };
    };
    const [few, many] = [work(1_000), work(50_000)];
    assert.ok(many.looked <= few.looked + 16, `${few.looked}, ${many.looked}`);
    assert.ok(many.compared <= 2 * few.compared, `${few.compared}, ${many.compared}`);
  });

  it('prefers priority to narrowness, narrowness to age, and age to nothing', () => {
    const wide: Selector = {
      family,
      first: mappedIpv4(0),
      last: mappedIpv4(0xffffffff),
      ...anyPort,
      protocol: 0,
    };
    const narrow = { ...wide, last: mappedIpv4(255) };
    const five = mappedIpv4(5);
    const key: PacketKey = {
      family,
      source: five,
      destination: five,
      protocol: 6,
      sourcePort: 1,
      destinationPort: 1,
    };
    const make = (source: Selector, priority: number, order: number): PolicyMatch => ({
      isInbound: false,
      source,
      destination: wide,
      priority,
      order,
    });
    const order = new PolicyOrder<PolicyMatch>();
    const ranked = [make(wide, 1, 9), make(narrow, 2, 5), make(wide, 2, 3), make(wide, 2, 4)];
    for (const policy of [...ranked].reverse()) order.insert(policy);
    for (const policy of ranked) {
      assert.equal(order.first(key), policy);
      order.remove(policy);
    }
    assert.equal(order.first(key), undefined);
  });
});
