import { assertNever } from '../util/index.ts';
import type { DataplaneCapabilities } from './ports.ts';

/**
 * How the engine stands with the dataplane:
 *
 *     down ─ up ─► no-snapshot ─ snapshot ─► acquiring ─ acquired ─► up
 *       ▲               ▲                       ▲ ▲                  │
 *       └── down ── from every state            │ └─── ambiguous ────┤
 *                                    snapshot, up │                  │ fenced
 *                                               └────── fenced ◄─────┘
 *
 * Without a snapshot the writer's role is not ours to take: another agent may hold it.
 */
export type LinkState =
  | { readonly kind: 'down'; readonly hasSnapshot: boolean; readonly reason: string }
  | { readonly kind: 'no-snapshot'; readonly capabilities: DataplaneCapabilities }
  | { readonly kind: 'acquiring'; readonly capabilities: DataplaneCapabilities }
  | { readonly kind: 'up'; readonly capabilities: DataplaneCapabilities }
  | { readonly kind: 'fenced'; readonly capabilities: DataplaneCapabilities; readonly reason: string };

export type LinkEvent =
  | { readonly kind: 'dataplane-up'; readonly capabilities: DataplaneCapabilities }
  | { readonly kind: 'dataplane-down'; readonly reason: string }
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'acquired' }
  /** An answer did not come: earlier batches have to be fenced before anything else. */
  | { readonly kind: 'ambiguous' }
  | { readonly kind: 'fenced'; readonly reason: string };

export const INITIAL_LINK: LinkState = { kind: 'down', hasSnapshot: false, reason: 'not connected yet' };

function hasSnapshot(link: LinkState): boolean {
  return link.kind === 'down' ? link.hasSnapshot : link.kind !== 'no-snapshot';
}

/** The state after an event; the same object when the event changes nothing. */
export function nextLink(link: LinkState, event: LinkEvent): LinkState {
  switch (event.kind) {
    case 'dataplane-up':
      return { kind: hasSnapshot(link) ? 'acquiring' : 'no-snapshot', capabilities: event.capabilities };
    case 'dataplane-down':
      return { kind: 'down', hasSnapshot: hasSnapshot(link), reason: event.reason };
    case 'snapshot':
      if (link.kind === 'down') return { ...link, hasSnapshot: true };
      // A new snapshot is proof that charon talks to us: whoever fenced us no longer counts.
      if (link.kind === 'no-snapshot' || link.kind === 'fenced') {
        return { kind: 'acquiring', capabilities: link.capabilities };
      }
      return link;
    case 'acquired':
      return link.kind === 'acquiring' ? { kind: 'up', capabilities: link.capabilities } : link;
    case 'ambiguous':
      return link.kind === 'up' ? { kind: 'acquiring', capabilities: link.capabilities } : link;
    case 'fenced':
      return link.kind === 'up' || link.kind === 'acquiring'
        ? { kind: 'fenced', capabilities: link.capabilities, reason: event.reason }
        : link;
    default:
      return assertNever(event, 'link event');
  }
}
