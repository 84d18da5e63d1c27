import { AgentError } from './agent-error.ts';

/**
 * Bytes that break their protocol. Never retried on the same connection: the
 * decoder that threw it is poisoned. A new connection may well work.
 */
export class MalformedError extends AgentError {
  override readonly name: string = 'MalformedError';
  /** Where in the stream of received bytes, counted from 0. */
  readonly offset: number;

  constructor(what: string, offset: number) {
    super(`${what}, at byte ${offset}`, { code: 'malformed', retryable: true });
    this.offset = offset;
  }
}
