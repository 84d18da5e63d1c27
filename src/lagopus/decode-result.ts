import { type ApplyStreamResponse, type OperationResult as ProtoResult, ResultCode } from '../proto/index.ts';
import type { ApplyOutcome, OperationResult, RefusalCode } from '../sync/index.ts';
import { decodeCounters, decodeSpi } from './decode-ids.ts';

const REFUSALS: ReadonlyMap<number, RefusalCode> = new Map([
  [ResultCode.RESULT_CODE_INVALID, 'invalid'],
  [ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM, 'unsupported-algorithm'],
  [ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, 'unsupported-feature'],
  [ResultCode.RESULT_CODE_UNSUPPORTED_MODE, 'unsupported-mode'],
  [ResultCode.RESULT_CODE_UNSUPPORTED_ADDRESS_FAMILY, 'unsupported-address-family'],
  [ResultCode.RESULT_CODE_UNSUPPORTED_PROTOCOL, 'unsupported-protocol'],
  [ResultCode.RESULT_CODE_SPI_COLLISION, 'spi-collision'],
  [ResultCode.RESULT_CODE_CAPACITY, 'capacity'],
  [ResultCode.RESULT_CODE_NOT_FOUND, 'not-found'],
  [ResultCode.RESULT_CODE_TEMPORARY, 'temporary'],
  [ResultCode.RESULT_CODE_INTERNAL, 'internal'],
]);

export function decodeResult(result: ProtoResult): OperationResult {
  if (result.code === ResultCode.RESULT_CODE_OK) {
    return {
      kind: 'ok',
      isUnchanged: result.unchanged,
      spi: result.spi === 0 ? undefined : decodeSpi(result.spi),
      counters: result.counters === undefined ? undefined : decodeCounters(result.counters),
    };
  }
  // A code of a later version of the contract is a refusal all the same.
  return { kind: 'refused', code: REFUSALS.get(result.code) ?? 'internal', reason: result.message };
}

/** gRPC's FAILED_PRECONDITION: the writer's epoch is fenced. */
export const FENCED_STATUS = 9;

/** What became of a batch of `count` operations; a response that answers another number is no answer. */
export function decodeResponse({ apply, error }: ApplyStreamResponse, count: number): ApplyOutcome {
  if (error !== undefined) {
    return { kind: error.status === FENCED_STATUS ? 'fenced' : 'rejected', reason: error.message };
  }
  if (apply?.results.length !== count) {
    return { kind: 'unknown', reason: `${apply?.results.length ?? 'no'} results for ${count} operations` };
  }
  return { kind: 'done', results: apply.results.map(decodeResult), revision: apply.revision };
}
