import { formatAlgorithms, type Operation, policyKey, saKey } from '../sad/index.ts';
import type { DryRun } from '../sync/index.ts';
import { assertNever } from '../util/index.ts';
import { toDiffReport } from './diff-report.ts';
import type { PlanReport } from './reports.ts';

/** What an operation is about, for a person; no key is in it. */
export function describeOperation(operation: Operation): string {
  switch (operation.kind) {
    case 'add-sa': {
      const { sa, replayState } = operation;
      const replay =
        replayState === undefined ? '' : `, replay state as of sequence ${replayState.highestSequence}`;
      return `${saKey(sa.id)} from ${sa.source}, ${formatAlgorithms(sa)}${replay}`;
    }
    case 'update-sa': {
      const { source, destination } = operation.move;
      return `${saKey(operation.id)} to ${source} > ${destination}`;
    }
    case 'delete-sa':
      return saKey(operation.id);
    case 'put-policy': {
      const { id, action, priority } = operation.policy;
      return `${policyKey(id)}: ${action.kind}, priority ${priority}`;
    }
    case 'delete-policy':
      return policyKey(operation.id);
    case 'reserve-spi':
      return `${operation.protocol} to ${operation.destination}`;
    default:
      return assertNever(operation, 'operation');
  }
}

export function toPlanReport({ diff, operations, rekeys, waiting, expired, withheld }: DryRun): PlanReport {
  return {
    ...toDiffReport(diff),
    isSent: true,
    operations: operations.map((operation) => ({
      operation: operation.kind,
      what: describeOperation(operation),
    })),
    rekeys: rekeys.map(({ id, attempts, nextTryInMs }) => ({ sa: saKey(id), attempts, nextTryInMs })),
    withheld: [
      ...waiting.map(({ key, attempts, reason, nextTryInMs }) => ({
        what: key,
        reason: `in back-off, tried ${attempts} times: ${reason}`,
        nextTryInMs,
      })),
      ...expired.map((key) => ({
        what: key,
        reason: 'its lifetime ended in the dataplane, and charon deletes it',
        nextTryInMs: null,
      })),
      ...[...withheld.foreign].map((key) => ({
        what: key,
        reason: 'another charon that is running installed it under the same owner',
        nextTryInMs: null,
      })),
      ...[...withheld.braked].map((key) => ({
        what: key,
        reason: 'too many deletions at once: held until two VICI listings lack these SAs too',
        nextTryInMs: null,
      })),
    ],
  };
}
