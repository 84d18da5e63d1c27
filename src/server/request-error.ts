import type { status } from '@grpc/grpc-js';
import { AgentError } from '../util/index.ts';

/** A request that is refused whole, with a gRPC status; nothing of it was applied. */
export class RequestError extends AgentError {
  override readonly name = 'RequestError';
  readonly status: status;

  constructor(code: status, message: string) {
    super(message, { code: 'refused' });
    this.status = code;
  }
}
