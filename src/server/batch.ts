import { status } from '@grpc/grpc-js';
import { type ApplyRequest, type Operation, OperationResult, ResultCode } from '../proto/index.ts';
import { errorMessage, type Logger } from '../util/index.ts';
import { Refusal } from './refusal.ts';
import { RequestError } from './request-error.ts';

/** @throws RequestError when a batch has more operations than the server takes at once */
export function checkBatchSize({ operations }: ApplyRequest, maxBatch: number): void {
  if (operations.length <= maxBatch) return;
  throw new RequestError(
    status.INVALID_ARGUMENT,
    `${operations.length} operations are more than the ${maxBatch} of one batch`,
  );
}

/** Overwrites the keys of a request: whoever uses them has copies. */
export function wipeRequestKeys({ operations }: ApplyRequest): void {
  for (const { addSa } of operations) {
    addSa?.sa?.encryptionKey.fill(0);
    addSa?.sa?.integrityKey.fill(0);
  }
}

/** @throws Refusal for an operation of no kind, or of several */
export function checkOneKind(operation: Operation): void {
  const kinds = Object.values(operation).filter((kind) => kind !== undefined);
  if (kinds.length === 1) return;
  throw new Refusal(
    ResultCode.RESULT_CODE_INVALID,
    `an operation is of one kind, this one of ${kinds.length}`,
  );
}

/** The answer to an operation that was refused or failed, which is logged. */
export function resultOfFailure(error: unknown, owner: string, logger: Logger): OperationResult {
  const message = errorMessage(error);
  if (error instanceof Refusal) {
    logger.warn({ owner, code: error.result, reason: message }, 'operation refused');
    return { ...OperationResult.create(), code: error.result, message };
  }
  logger.error({ owner, err: error }, 'operation failed');
  return { ...OperationResult.create(), code: ResultCode.RESULT_CODE_INTERNAL, message };
}
