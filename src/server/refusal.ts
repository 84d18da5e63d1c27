import type { ResultCode } from '../proto/index.ts';
import { AgentError } from '../util/index.ts';

/** Why one operation is refused: the contract's code, and a message for a person. */
export class Refusal extends AgentError {
  override readonly name = 'Refusal';
  readonly result: ResultCode;

  constructor(result: ResultCode, message: string) {
    super(message, { code: 'refused' });
    this.result = result;
  }
}
