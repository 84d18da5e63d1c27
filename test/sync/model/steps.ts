import fc from 'fast-check';
import type { Fault } from './faults.ts';
import { type ChildOptions, NETS, PEERS, type Role, type ShuntKind } from './sim-charon.ts';

/** One thing that happens. Numbers that name a CHILD_SA or an SA count, modulo, what is there then. */
export type Step = { readonly afterMs: number } & (
  | { readonly kind: 'set up'; readonly peer: number; readonly net: number; readonly options: ChildOptions }
  | { readonly kind: 'rekey'; readonly child: number; readonly role: Role }
  | { readonly kind: 'delete'; readonly child: number }
  | { readonly kind: 'delete all'; readonly peer: number }
  | { readonly kind: 'move'; readonly peer: number; readonly end: 'local' | 'remote' }
  | { readonly kind: 'trap'; readonly net: number }
  | { readonly kind: 'shunt'; readonly net: number; readonly shunt: ShuntKind }
  | { readonly kind: 'packets'; readonly count: number }
  | { readonly kind: 'SA expires' | 'sequence ends' | 'SA vanishes'; readonly sa: number }
  | { readonly kind: 'SA changes'; readonly sa: number; readonly what: 'reqid' | 'copy-df' | 'key' }
  /** Every operation on it fails from now on. */
  | { readonly kind: 'entry is stuck'; readonly index: number }
  | { readonly kind: 'dataplane' | 'charon' | 'agent'; readonly event: 'restarts' }
  | { readonly kind: 'dataplane' | 'feed'; readonly event: 'disconnects' }
  | { readonly kind: 'audit' }
  | { readonly kind: 'fault'; readonly fault: Fault }
);

const peer = fc.nat({ max: PEERS - 1 });
const net = fc.nat({ max: NETS - 1 });
const index = fc.nat({ max: 9 });
const delayMs = fc.constantFrom(5, 100, 700, 1_100, 2_500);
const on = fc.constantFrom(
  ...(['add-sa', 'add-sa', 'update-sa', 'delete-sa', 'put-policy', 'delete-policy', 'reserve-spi'] as const),
);
const what = fc.constantFrom('request', 'answer');
const apply = fc.constant('apply');
const acquire = fc.constant('acquire');

const fault: fc.Arbitrary<Fault> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      ...{ call: apply, on, kind: fc.constant('refused') },
      code: fc.constantFrom('temporary', 'capacity', 'invalid'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ call: apply, on, kind: fc.constant('lost'), what }) },
  { weight: 4, arbitrary: fc.record({ call: apply, on, kind: fc.constant('late'), what, delayMs }) },
  fc.record({ call: acquire, kind: fc.constant('failed') }),
  fc.record({ call: acquire, kind: fc.constant('lost'), what }),
  fc.record({ call: acquire, kind: fc.constant('late'), what, delayMs }),
  fc.record({ call: fc.constant('list'), kind: fc.constant('failed') }),
  {
    weight: 2,
    arbitrary: fc.record({ call: fc.constant('list'), kind: fc.constant('late'), what, delayMs }),
  },
  fc.record({ call: fc.constant('connect'), kind: fc.constant('failed') }),
  fc.record({ call: fc.constant('event'), kind: fc.constantFrom('twice', 'lost') }),
  fc.record({ call: fc.constant('event'), kind: fc.constant('late'), delayMs }),
  fc.record({ call: fc.constant('vici'), kind: fc.constant('failed') }),
  fc.record({ call: fc.constant('vici'), kind: fc.constant('late'), delayMs }),
);

/** Mostly at once, so that much is under way at a time. */
const afterMs = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 3 }) },
  { weight: 4, arbitrary: fc.nat({ max: 60 }) },
  { weight: 2, arbitrary: fc.constantFrom(300, 1_500, 7_000, 12_000) },
);

const options = fc.record({
  esn: fc.boolean(),
  replayWindow: fc.constantFrom(32, 32, 0),
});

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ afterMs, kind: fc.constant('set up'), peer, net, options }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      ...{ afterMs, kind: fc.constant('rekey'), child: index },
      role: fc.constantFrom('initiator', 'responder'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ afterMs, kind: fc.constant('delete'), child: index }) },
  fc.record({ afterMs, kind: fc.constant('delete all'), peer }),
  {
    weight: 3,
    arbitrary: fc.record({
      afterMs,
      kind: fc.constant('move'),
      peer,
      end: fc.constantFrom('local', 'remote'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ afterMs, kind: fc.constant('trap'), net }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ afterMs, kind: fc.constant('shunt'), net },
      shunt: fc.constantFrom('pass', 'drop', 'manual'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ afterMs, kind: fc.constant('packets'), count: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ afterMs, sa: index },
      kind: fc.constantFrom('SA expires', 'sequence ends', 'SA vanishes'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      ...{ afterMs, kind: fc.constant('SA changes'), sa: index },
      what: fc.constantFrom('reqid', 'copy-df', 'key'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...{ afterMs, event: fc.constant('restarts') },
      kind: fc.constantFrom('dataplane', 'charon', 'agent'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ afterMs, event: fc.constant('disconnects') },
      kind: fc.constantFrom('dataplane', 'feed'),
    }),
  },
  fc.record({ afterMs, kind: fc.constant('entry is stuck'), index }),
  { weight: 2, arbitrary: fc.record({ afterMs, kind: fc.constant('audit') }) },
  { weight: 14, arbitrary: fc.record({ afterMs, kind: fc.constant('fault'), fault }) },
);

/** A step in one line. */
export function describeStep({ afterMs: delay, kind, ...rest }: Step): string {
  const details = Object.values(rest).map((value) =>
    typeof value === 'object' ? Object.values(value).join(' ') : String(value),
  );
  return `+${delay} ms ${kind} ${details.join(' ')}`;
}
