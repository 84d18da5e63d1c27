import { status } from '@grpc/grpc-js';
import { AgentError, type AgentErrorCode, errorMessage } from '../util/index.ts';

const CODES: ReadonlyMap<number, { readonly code: AgentErrorCode; readonly retryable: boolean }> = new Map([
  [status.UNAVAILABLE, { code: 'unavailable', retryable: true }],
  [status.DEADLINE_EXCEEDED, { code: 'deadline', retryable: true }],
  [status.CANCELLED, { code: 'aborted', retryable: true }],
  [status.ABORTED, { code: 'unavailable', retryable: true }],
  [status.RESOURCE_EXHAUSTED, { code: 'overflow', retryable: true }],
  [status.ALREADY_EXISTS, { code: 'busy', retryable: true }],
  [status.FAILED_PRECONDITION, { code: 'busy', retryable: false }],
  [status.INVALID_ARGUMENT, { code: 'refused', retryable: false }],
  [status.PERMISSION_DENIED, { code: 'refused', retryable: false }],
  [status.UNAUTHENTICATED, { code: 'refused', retryable: false }],
  [status.UNIMPLEMENTED, { code: 'unsupported', retryable: false }],
]);

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined;
}

/** What a failed call means here. */
export function toAgentError(call: string, error: unknown): AgentError {
  if (error instanceof AgentError) return error;
  const known = CODES.get(statusOf(error) ?? status.UNKNOWN) ?? { code: 'internal', retryable: false };
  return new AgentError(`${call} at the dataplane failed: ${errorMessage(error)}`, {
    ...known,
    cause: error,
  });
}
