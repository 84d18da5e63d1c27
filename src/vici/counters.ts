import { parseControlOutcome } from './control.ts';
import { FieldReader } from './field-reader.ts';
import { ViciSection } from './section.ts';

/** IKE events that charon's counters plugin counted. */
export type CounterOutcome =
  | {
      readonly kind: 'done';
      /** Counter by name, by connection; the connection '' is all of charon. */
      readonly counters: ReadonlyMap<string, ReadonlyMap<string, bigint>>;
    }
  | { readonly kind: 'failed'; readonly reason: string };

/** Whose counters: one connection's, every connection's that has any, or else the global ones. */
export type CounterFilter = { readonly name?: string | undefined; readonly all?: boolean | undefined };

/** Parses the reply to get-counters; throws AgentError `malformed`. */
export function parseCounters(reply: ViciSection): CounterOutcome {
  const outcome = parseControlOutcome(reply);
  if (outcome.kind === 'failed') return outcome;
  const counters = new Map<string, ReadonlyMap<string, bigint>>();
  const sections = reply.section('counters') ?? new ViciSection();
  for (const { name, section } of sections.sections()) {
    const fields = new FieldReader(section, `counters of "${name}"`);
    const names = section.elements.filter(({ kind }) => kind === 'value').map((element) => element.name);
    counters.set(name, new Map(names.map((counter) => [counter, fields.counter(counter)])));
  }
  return { kind: 'done', counters };
}
