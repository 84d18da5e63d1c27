import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Address, mappedIpv4 } from '../../src/dataplane/address.ts';
import { type PolicyMatch, PolicyOrder } from '../../src/dataplane/policy-order.ts';
import type { PacketKey, Selector } from '../../src/dataplane/selector.ts';
import { tries } from '../support/tries.ts';

const anyPort = { firstPort: 0, lastPort: 65535 };

type Family = PacketKey['family'];

/** In IPv6 every word of an address differs somewhere. */
function addressOf(family: Family, small: number): Address {
  if (family === 4) return mappedIpv4(small < 8 ? small : 0x100 - 12 + small);
  return 0x20010db8_ffffffff_ffffffff_fffffff8n + BigInt(small) * (small > 10 ? 2n ** 90n + 2n ** 40n : 1n);
}

/** Small spaces, so that policies overlap and packets hit them. */
function selectorOf(family: Family): fc.Arbitrary<Selector> {
  const whole =
    family === 4
      ? { first: mappedIpv4(0), last: mappedIpv4(0xffffffff) }
      : { first: 0n, last: 2n ** 128n - 1n };
  const range = fc.tuple(fc.nat(15), fc.nat(15)).map(([a, b]) => ({
    first: addressOf(family, Math.min(a, b)),
    last: addressOf(family, Math.max(a, b)),
  }));
  return fc
    .record({
      range: fc.oneof({ weight: 4, arbitrary: range }, { weight: 1, arbitrary: fc.constant(whole) }),
      ports: fc.constantFrom(
        anyPort,
        anyPort,
        { firstPort: 3, lastPort: 5 },
        { firstPort: 0, lastPort: 4 },
        { firstPort: 65535, lastPort: 0 },
      ),
      protocol: fc.constantFrom(0, 0, 6, 17),
    })
    .map(({ range: { first, last }, ports, protocol }) => ({ family, first, last, ...ports, protocol }));
}

const family: fc.Arbitrary<Family> = fc.constantFrom(4, 6);

const packet: fc.Arbitrary<PacketKey> = family.chain((known) => {
  const address = fc.nat(16).map((small) => addressOf(known, small));
  return fc.record({
    family: fc.constant(known),
    source: address,
    destination: address,
    protocol: fc.constantFrom(1, 6, 17),
    sourcePort: fc.constantFrom(-1, 0, 3, 4, 9),
    destinationPort: fc.constantFrom(-1, 0, 3, 4, 9),
  });
});

/** With so many priorities. */
function policyOf(priorities: number): fc.Arbitrary<Omit<PolicyMatch, 'order'>> {
  return family.chain((known) =>
    fc.record({
      source: selectorOf(known),
      destination: selectorOf(known),
      priority: fc.nat(priorities - 1),
      isInbound: fc.boolean(),
    }),
  );
}

const policies: fc.Arbitrary<PolicyMatch[]> = fc
  .array(policyOf(4), { maxLength: 30 })
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
        p.source.family === key.family &&
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
      tries(500),
    );
  });

  it('finds the same among thousands', () => {
    const large = fc.array(policyOf(50), { minLength: 2_000, maxLength: 3_000, size: 'max' });
    fc.assert(
      fc.property(
        large,
        fc.infiniteStream(fc.boolean()),
        fc.array(packet, { minLength: 50 }),
        (made, keep, packets) => {
          const list = made.map((match, place) => ({ ...match, order: place }));
          const order = new PolicyOrder<PolicyMatch>();
          for (const policy of list) order.insert(policy);
          const left = list.filter(() => keep.next().value);
          for (const policy of list) if (!left.includes(policy)) order.remove(policy);
          for (const key of packets) assert.equal(order.first(key), naive(left, key));
        },
      ),
      tries(3),
    );
  });

  const whole: Selector = {
    family: 4,
    first: mappedIpv4(0),
    last: mappedIpv4(0xffffffff),
    ...anyPort,
    protocol: 0,
  };
  const between = (first: number, last: number): Selector => ({
    ...whole,
    first: mappedIpv4(first),
    last: mappedIpv4(last),
  });
  const network = (first: number, bits: number): Selector => between(first, first + 2 ** bits - 1);
  /** What many policies may have in common, and the packet that is for the last of them. */
  const families: readonly {
    readonly what: string;
    readonly policy: (index: number) => { source: Selector; destination: Selector };
    readonly packet: (index: number) => Partial<PacketKey>;
  }[] = [
    {
      what: 'a network each',
      policy: (index) => ({ source: whole, destination: network(index * 16, 4) }),
      packet: (index) => ({ destination: mappedIpv4(index * 16 + 3) }),
    },
    {
      what: 'a local network each and everything on the far side',
      policy: (index) => ({ source: network(index * 16, 4), destination: whole }),
      packet: (index) => ({ source: mappedIpv4(index * 16 + 3) }),
    },
    {
      what: 'a port each of one /24',
      policy: (index) => ({
        source: whole,
        destination: { ...network(0xc6130100, 8), protocol: 6, firstPort: index, lastPort: index },
      }),
      packet: (index) => ({ destination: mappedIpv4(0xc6130105), destinationPort: index }),
    },
    {
      what: 'ranges of addresses that overlap their neighbours',
      policy: (index) => ({
        source: whole,
        destination: between(index * 7 + 1, index * 7 + 11),
      }),
      packet: (index) => ({ destination: mappedIpv4(index * 7 + 5) }),
    },
    {
      what: 'a mesh of networks',
      policy: (index) => ({
        source: network((index % 200) * 256, 8),
        destination: network(Math.floor(index / 200) * 256, 8),
      }),
      packet: (index) => ({
        source: mappedIpv4((index % 200) * 256),
        destination: mappedIpv4(Math.floor(index / 200) * 256),
      }),
    },
    {
      what: 'everything, of another priority each',
      policy: () => ({ source: whole, destination: whole }),
      packet: () => ({}),
    },
  ];

  for (const { what, policy, packet: aim } of families) {
    it(`looks at few of 20,000 policies: ${what}`, () => {
      let reads = 0;
      const order = new PolicyOrder<PolicyMatch>();
      const count = 20_000;
      const shuffled = (index: number): number => (index * 7_919) % count;
      for (let index = 0; index < count; index += 1) {
        const { source, destination } = policy(shuffled(index));
        order.insert({
          isInbound: false,
          // What is looked at first when a packet may be its own.
          get source() {
            reads += 1;
            return source;
          },
          destination,
          priority: shuffled(index),
          order: index,
        });
      }
      reads = 0;
      for (let index = 0; index < count; index += 100) {
        const anywhere = {
          family: 4,
          source: mappedIpv4(1),
          destination: mappedIpv4(1),
          protocol: 6,
          sourcePort: 1,
          destinationPort: 1,
        } as const;
        assert.notEqual(order.first({ ...anywhere, ...aim(index) }), undefined);
      }
      assert.ok(reads <= 4 * (count / 100), `${reads} policies looked at for ${count / 100} packets`);
    });
  }

  it('prefers priority to narrowness, narrowness to age, and age to nothing', () => {
    const wide = whole;
    const narrow = network(0, 8);
    const key = {
      family: 4,
      source: mappedIpv4(5),
      destination: mappedIpv4(5),
      protocol: 6,
      sourcePort: 1,
      destinationPort: 1,
    } as const;
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
