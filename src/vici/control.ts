import type { ViciArguments } from './encode-message.ts';
import { FieldReader } from './field-reader.ts';
import type { LogMessage } from './log-message.ts';
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

/** Whom to send to another gateway: all that match everything that is named. */
export type RedirectFilter = Pick<SaFilter, 'ike' | 'ikeId'> & {
  /** An address, a subnet or a range. */
  readonly peerIp?: string | undefined;
  /** An identity, wildcards included. */
  readonly peerId?: string | undefined;
};

/** A CHILD_SA's configuration, by name; without `ike` the first of that name. */
export type ChildTarget = { readonly child: string; readonly ike?: string | undefined };

/** What happens while charon works on a command: lines of its log, then what became of it. */
export type ControlProgress<Outcome> = { readonly kind: 'log'; readonly log: LogMessage } | Outcome;

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
