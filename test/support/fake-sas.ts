import type { ViciArguments, ViciSection } from '../../src/vici/index.ts';
import type { FakeCommand } from './fake-charon.ts';

/** An IKE_SA as list-sas tells it, its CHILD_SAs apart so that they can be filtered. */
export type ScriptedIkeSa = {
  readonly name: string;
  /** With `uniqueid`. */
  readonly fields: ViciArguments;
  /** Each with `name` and `uniqueid`. */
  readonly children: readonly ViciArguments[];
};

/** `stats` and `list-sas` as charon answers them, filters included. */
export function fakeSaCommands(
  sas: () => readonly ScriptedIkeSa[],
): Readonly<Record<'stats' | 'list-sas', FakeCommand>> {
  return {
    stats: () => ({ reply: fakeStats(sas().length) }),
    'list-sas': (args) => ({
      events: sas()
        .filter(({ name, fields }) => matches(args, 'ike', name) && matches(args, 'ike-id', fields.uniqueid))
        .map((ike) => ['list-sa', { [ike.name]: describe(ike, args) }] as const),
    }),
  };
}

export function fakeStats(ikeSas: number): ViciArguments {
  return {
    uptime: { running: '1 second', since: 'Jan 01 00:00:00 2024' },
    workers: { total: 16, idle: 11, active: { critical: 4, high: 0, medium: 1, low: 0 } },
    queues: { critical: 0, high: 0, medium: 0, low: 0 },
    scheduled: 0,
    ikesas: { total: ikeSas, 'half-open': 0 },
    plugins: ['vici'],
    mallinfo: { sbrk: 2_000, mmap: 0, used: 1_500, free: 500 },
  };
}

function describe({ fields, children }: ScriptedIkeSa, args: ViciSection): ViciArguments {
  const wanted = children.filter(
    (child) => matches(args, 'child', child.name) && matches(args, 'child-id', child.uniqueid),
  );
  const sections = wanted.map((child) => [`${child.name}-${child.uniqueid}`, child] as const);
  return { ...fields, 'child-sas': Object.fromEntries(sections) };
}

function matches(args: ViciSection, filter: string, value: ViciArguments[string]): boolean {
  const wanted = args.text(filter);
  return wanted === undefined || wanted === String(value);
}
