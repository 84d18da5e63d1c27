import { AgentError } from '../util/index.ts';
import { type ChildSa, parseChildSa } from './child-sa.ts';
import { FieldReader } from './field-reader.ts';
import {
  childSections,
  type IkeEndpoint,
  type IkeSa,
  isRekeyPair,
  onlySection,
  parseEndpoint,
  parseIkeSa,
} from './ike-sa.ts';
import { type LogMessage, parseLogMessage } from './log-message.ts';
import type { ViciSection } from './section.ts';

/** Events by name, for `subscribe`. */
export type ViciEventName = Exclude<ViciEvent['kind'], 'other'>;

/** charon's alerts, and any that a newer one has. */
export type AlertType =
  | 'authorization-failed'
  | 'cert-exceeded-path-len'
  | 'cert-expired'
  | 'cert-no-issuer'
  | 'cert-policy-violation'
  | 'cert-revoked'
  | 'cert-untrusted-root'
  | 'cert-validation-failed'
  | 'half-open-timeout'
  | 'ike-sa-expired'
  | 'install-child-policy-failed'
  | 'install-child-sa-failed'
  | 'invalid-ike-spi'
  | 'keep-on-child-sa-failure'
  | 'local-auth-failed'
  | 'parse-error-body'
  | 'parse-error-header'
  | 'peer-addr-failed'
  | 'peer-auth-failed'
  | 'peer-init-unreachable'
  | 'proposal-mismatch-child'
  | 'proposal-mismatch-ike'
  | 'radius-not-responding'
  | 'retransmit-receive'
  | 'retransmit-send'
  | 'retransmit-send-cleared'
  | 'retransmit-send-timeout'
  | 'shutdown-signal'
  | 'ts-mismatch'
  | 'ts-narrowed'
  | 'unique-keep'
  | 'unique-replace'
  | 'vip-failure'
  | (string & Record<never, never>);

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
  /** About to happen: `ike` still has the old addresses, and its children are updated after it. */
  | {
      readonly kind: 'ike-update';
      readonly local: IkeEndpoint;
      readonly remote: IkeEndpoint;
      readonly ike: IkeSa;
    }
  /** Of level 0 or 1: charon gives no more here. */
  | { readonly kind: 'log'; readonly log: LogMessage }
  /** Something went wrong. Since 6.0.3; an older charon does not know it (`unsupported`). */
  | { readonly kind: 'alert'; readonly type: AlertType; readonly ike: IkeSa | undefined }
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
    case 'ike-update': {
      const fields = new FieldReader(message, name);
      const { name: ikeName, section } = onlySection(message, name);
      return {
        kind: name,
        local: parseEndpoint(fields, 'local'),
        remote: parseEndpoint(fields, 'remote'),
        ike: parseIkeSa(ikeName, section),
      };
    }
    case 'log':
      return { kind: name, log: parseLogMessage(message) };
    case 'alert': {
      const [ike] = message.section('ike-sa')?.sections() ?? [];
      return {
        kind: name,
        type: new FieldReader(message, name).text('type'),
        ike: ike && parseIkeSa(ike.name, ike.section),
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
