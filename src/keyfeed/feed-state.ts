import { assertNever, MalformedError } from '../util/index.ts';
import type { AddPolicy, AddSa, FeedChange, FeedRequest, PluginMessage, SetupFailed } from './messages.ts';

/**
 * Where a connection stands after its HELLO:
 *
 *     greeted -- SNAPSHOT_BEGIN --> snapshot -- SNAPSHOT_END --> live
 *
 * `lastSeq` only grows: entries up to the snapshot's own number, changes above it.
 */
export type FeedState =
  | { readonly kind: 'greeted' }
  | {
      readonly kind: 'snapshot';
      readonly seq: bigint;
      readonly lastSeq: bigint | undefined;
      readonly count: number;
    }
  | { readonly kind: 'live'; readonly lastSeq: bigint };

/** What a message means where it came. */
export type FeedStep =
  | { readonly kind: 'snapshot-begin'; readonly state: FeedState }
  | { readonly kind: 'snapshot-entry'; readonly state: FeedState; readonly entry: AddSa | AddPolicy }
  | { readonly kind: 'snapshot-end'; readonly state: FeedState; readonly seq: bigint }
  | { readonly kind: 'request'; readonly state: FeedState; readonly request: FeedRequest }
  | { readonly kind: 'change'; readonly state: FeedState; readonly change: FeedChange }
  | { readonly kind: 'setup-failed'; readonly state: FeedState; readonly failure: SetupFailed };

/** The next state, or a MalformedError when the message may not come here. */
export function stepFeed(state: FeedState, message: PluginMessage, offset: number): FeedStep {
  const refuse = (problem: string): MalformedError =>
    new MalformedError(`${message.kind} in state ${state.kind}: ${problem}`, offset);

  switch (message.kind) {
    case 'hello':
    case 'error':
      throw refuse('not expected');
    case 'snapshot-begin':
      if (state.kind !== 'greeted') throw refuse('a second snapshot');
      return {
        kind: message.kind,
        state: { kind: 'snapshot', seq: message.seq, lastSeq: undefined, count: 0 },
      };
    case 'snapshot-end':
      if (state.kind !== 'snapshot') throw refuse('no snapshot has begun');
      if (message.seq !== state.seq) throw refuse(`number ${message.seq}, begun as ${state.seq}`);
      if (message.count !== state.count) throw refuse(`${state.count} entries, ${message.count} announced`);
      return { kind: message.kind, state: { kind: 'live', lastSeq: state.seq }, seq: state.seq };
    case 'setup-failed':
      // No change of charon's tables: it has no number.
      if (state.kind !== 'live') throw refuse('before the end of the snapshot');
      return { kind: message.kind, state, failure: message };
    default:
      break;
  }

  if (state.kind === 'greeted') throw refuse('before the snapshot');
  if (state.lastSeq !== undefined && message.seq <= state.lastSeq) {
    throw refuse(`number ${message.seq} after ${state.lastSeq}`);
  }
  if (state.kind === 'live') {
    const next: FeedState = { kind: 'live', lastSeq: message.seq };
    if (isRequest(message)) return { kind: 'request', state: next, request: message };
    return { kind: 'change', state: next, change: message };
  }
  if (message.kind !== 'add-sa' && message.kind !== 'add-policy') throw refuse('not an entry');
  if (message.awaited) throw refuse('an entry that awaits a result');
  if (message.seq > state.seq) throw refuse(`number ${message.seq} is above the snapshot's ${state.seq}`);
  return {
    kind: 'snapshot-entry',
    state: { ...state, lastSeq: message.seq, count: state.count + 1 },
    entry: message,
  };
}

function isRequest(message: FeedRequest | FeedChange): message is FeedRequest {
  switch (message.kind) {
    case 'get-spi':
    case 'probe':
      return true;
    case 'add-sa':
    case 'update-sa':
    case 'add-policy':
      return message.awaited;
    case 'del-sa':
    case 'del-policy':
    case 'flush-sas':
    case 'flush-policies':
      return false;
    default:
      return assertNever(message, 'message');
  }
}
