import type { ViciArguments } from './encode-message.ts';
import { FieldReader } from './field-reader.ts';
import type { ViciSection } from './section.ts';

/** Which SAs a command is about: by unique id, or by the name of a configuration. */
export type SaFilter = {
  readonly ikeId?: number | undefined;
  readonly childId?: number | undefined;
  readonly ike?: string | undefined;
  readonly child?: string | undefined;
};

/** What became of a command that charon may refuse; `reason` is charon's own. */
export type ControlOutcome = { readonly kind: 'done' } | { readonly kind: 'failed'; readonly reason: string };

/** The same for a command on the SAs that match a filter. None that match is a failure. */
export type MatchOutcome =
  | { readonly kind: 'done'; readonly matches: number }
  | { readonly kind: 'failed'; readonly matches: number; readonly reason: string };

export function filterArguments(filter: SaFilter): ViciArguments {
  return { 'ike-id': filter.ikeId, 'child-id': filter.childId, ike: filter.ike, child: filter.child };
}

export function parseControlOutcome(reply: ViciSection): ControlOutcome {
  return reply.text('success') === 'yes' ? { kind: 'done' } : { kind: 'failed', reason: failureOf(reply) };
}

export function parseMatchOutcome(reply: ViciSection, command: string): MatchOutcome {
  // Missing where charon refused the arguments themselves.
  const matches = new FieldReader(reply, command).optionalNumber('matches') ?? 0;
  if (reply.text('success') === 'yes') return { kind: 'done', matches };
  return { kind: 'failed', matches, reason: failureOf(reply) };
}

function failureOf(reply: ViciSection): string {
  return reply.text('errmsg') ?? 'charon gives no reason';
}
