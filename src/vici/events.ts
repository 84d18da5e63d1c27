import { AgentError } from '../util/index.ts';
import { type ChildSa, parseChildSa } from './child-sa.ts';
import { childSections, type IkeSa, isRekeyPair, onlySection, parseIkeSa } from './ike-sa.ts';
import type { ViciSection } from './section.ts';

/**
 * What happened. Only a reason to look again: some changes have no event, and an
 * event may come before or after what it tells reaches the kernel backend.
 */
export type ViciEvent =
  /** Without its children: on the way down their events follow, REKEYED and DELETED ones' do not. */
  | { readonly kind: 'ike-updown'; readonly isUp: boolean; readonly ike: IkeSa }
  /** `ike` has the one child. Down comes before its SAs are deleted. */
  | { readonly kind: 'child-updown'; readonly isUp: boolean; readonly ike: IkeSa }
  /** The children move to the new one, without events of their own. */
  | { readonly kind: 'ike-rekey'; readonly old: IkeSa; readonly new: IkeSa }
  /** `ike` has no children. */
  | { readonly kind: 'child-rekey'; readonly ike: IkeSa; readonly old: ChildSa; readonly new: ChildSa }
  /** Any other that was asked for. */
  | { readonly kind: 'other'; readonly name: string; readonly message: ViciSection };

/** Parses an event's message; throws AgentError `malformed`. */
export function parseEvent(name: string, message: ViciSection): ViciEvent {
  switch (name) {
    case 'ike-updown':
    case 'child-updown': {
      const ike = onlySection(message, name);
      return { kind: name, isUp: message.text('up') === 'yes', ike: parseIkeSa(ike.name, ike.section) };
    }
    case 'ike-rekey': {
      const ike = onlySection(message, name);
      const pair = oldAndNew(ike.section, name);
      return { kind: name, old: parseIkeSa(ike.name, pair.old), new: parseIkeSa(ike.name, pair.new) };
    }
    case 'child-rekey': {
      const { name: ikeName, section } = onlySection(message, name);
      const child = childSections(section).find(isRekeyPair);
      if (child === undefined) throw new AgentError(`${name}: no CHILD_SA`, { code: 'malformed' });
      const pair = oldAndNew(child, name);
      return {
        kind: name,
        ike: parseIkeSa(ikeName, section),
        old: parseChildSa(pair.old),
        new: parseChildSa(pair.new),
      };
    }
    default:
      return { kind: 'other', name, message };
  }
}

function oldAndNew(
  section: ViciSection,
  what: string,
): { readonly old: ViciSection; readonly new: ViciSection } {
  const pair = { old: section.section('old'), new: section.section('new') };
  if (pair.old === undefined || pair.new === undefined) {
    throw new AgentError(`${what}: without an old and a new`, { code: 'malformed' });
  }
  return { old: pair.old, new: pair.new };
}
