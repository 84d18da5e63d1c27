import type { DataplaneCapabilities } from '../sync/index.ts';
import { assertNever } from '../util/index.ts';

/**
 *     connecting ─ connected ─► watching ─ lost ─► connecting
 *         └─ failed ─► connecting (one attempt more)
 */
export type ConnectionState =
  | {
      readonly kind: 'connecting';
      /** Failed ones since the last connection. */
      readonly attempts: number;
      readonly reason: string | undefined;
    }
  | { readonly kind: 'watching'; readonly capabilities: DataplaneCapabilities };

export type ConnectionEvent =
  | { readonly kind: 'connected'; readonly capabilities: DataplaneCapabilities }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string };

export const INITIAL_CONNECTION: ConnectionState = { kind: 'connecting', attempts: 0, reason: undefined };

export function nextConnection(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  switch (event.kind) {
    case 'connected':
      return { kind: 'watching', capabilities: event.capabilities };
    case 'failed':
      return {
        kind: 'connecting',
        attempts: state.kind === 'connecting' ? state.attempts + 1 : 1,
        reason: event.reason,
      };
    case 'lost':
      return { kind: 'connecting', attempts: 0, reason: event.reason };
    default:
      return assertNever(event, 'connection event');
  }
}
