import { mappedIpv4 } from '../../src/dataplane/address.ts';
import { type PolicyMatch, PolicyOrder } from '../../src/dataplane/policy-order.ts';
import type { Selector } from '../../src/dataplane/selector.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';

const COUNTS = [10, 1_000, 10_000] as const;
const LOOKUPS = 20_000;
const ANY = { family: 4, firstPort: 0, lastPort: 65535, protocol: 0 } as const;

const between = (first: number, last: number): Selector => ({
  ...ANY,
  first: mappedIpv4(first),
  last: mappedIpv4(last),
});

/** What policies have of their own. */
const SHAPES = [
  {
    what: 'a /24 each',
    destination: (index: number): Selector => between(index * 256, index * 256 + 255),
    packet: (index: number) => ({ destination: mappedIpv4(index * 256 + 7), destinationPort: 1 }),
  },
  {
    what: 'a port each of one /24',
    destination: (index: number): Selector => ({
      ...between(0xc6130100, 0xc61301ff),
      protocol: 6,
      firstPort: index,
      lastPort: index,
    }),
    packet: (index: number) => ({ destination: mappedIpv4(0xc6130107), destinationPort: index }),
  },
] as const;

/** Microseconds of CPU for a lookup in the SPD, which a flow's first packet needs. */
export function spdLookupRows({ isQuick }: BenchContext): readonly Row[] {
  return SHAPES.flatMap(({ what, destination, packet }) =>
    COUNTS.map((count) => {
      const order = new PolicyOrder<PolicyMatch>();
      for (let index = 0; index < count; index += 1) {
        const source = between(0xc6120000, 0xc612ffff);
        order.insert({
          isInbound: false,
          source,
          destination: destination(index),
          priority: index % 7,
          order: index,
        });
      }
      const source = { family: 4, source: mappedIpv4(0xc6120001), sourcePort: 1, protocol: 6 } as const;
      const measure = (): number => {
        const before = process.cpuUsage();
        for (let lookup = 0; lookup < LOOKUPS; lookup += 1) {
          const found = order.first({ ...source, ...packet((lookup * 7_919) % count) });
          if (found === undefined) throw new Error('a lookup found nothing');
        }
        return process.cpuUsage(before).user / LOOKUPS;
      };
      // The first one compiles.
      measure();
      const values = Array.from({ length: isQuick ? 2 : 7 }, measure);
      return makeRow({ name: `SPD lookup, ${count} policies of ${what}`, unit: 'us', values });
    }),
  );
}
