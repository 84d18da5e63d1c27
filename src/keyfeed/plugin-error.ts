import { AgentError, type AgentErrorCode } from '../util/index.ts';
import type { FeedError } from './messages.ts';
import type { ResultCode } from './wire.ts';

const codes: Readonly<Record<ResultCode, { readonly code: AgentErrorCode; readonly retryable: boolean }>> = {
  ok: { code: 'unavailable', retryable: true },
  refused: { code: 'refused', retryable: false },
  'try-again': { code: 'unavailable', retryable: true },
  malformed: { code: 'malformed', retryable: true },
  unsupported: { code: 'unsupported', retryable: false },
  busy: { code: 'busy', retryable: true },
  internal: { code: 'unavailable', retryable: true },
  overflow: { code: 'overflow', retryable: true },
};

/** The plugin's ERROR as what ends the connection. */
export function pluginError({ code, reason }: FeedError): AgentError {
  return new AgentError(`charon's plugin closed the key feed (${code}): ${reason}`, codes[code]);
}
