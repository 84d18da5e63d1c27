import { status } from '@grpc/grpc-js';
import {
  type ApplyRequest,
  type ApplyResponse,
  type Operation,
  OperationResult,
  ResultCode,
  type SaCounters,
} from '../proto/index.ts';
import {
  type Author,
  type Lifetimes,
  Refusal,
  RequestError,
  type Revisions,
  type Writers,
} from '../server/index.ts';
import { errorMessage, type Logger } from '../util/index.ts';
import type { Drills } from './drills.ts';
import type { Handle } from './native.ts';
import { describeSa } from './sa-record.ts';
import { parseProtocol } from './sa-request.ts';
import type { Sad } from './sad.ts';
import type { Spd } from './spd.ts';
import type { SpiReservations } from './spi-reservations.ts';

export const MAX_BATCH = 1024;

export type ApplierOptions = {
  readonly sad: Sad;
  readonly spd: Spd;
  readonly reservations: SpiReservations;
  readonly lifetimes: Lifetimes<Handle>;
  readonly writers: Writers;
  readonly revisions: Revisions;
  readonly drills: Drills | undefined;
  readonly logger: Logger;
};

type Outcome = {
  readonly isUnchanged?: boolean;
  readonly counters?: SaCounters;
  readonly spi?: number;
};

/** Applies batches, synchronously: when apply() returns, its operations are effective for packets. */
export class Applier {
  readonly #options: ApplierOptions;

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /**
   * Wipes the request's keys, whatever happens.
   * @throws RequestError when nothing was applied
   */
  apply(request: ApplyRequest): ApplyResponse {
    const { writers, drills, revisions } = this.#options;
    try {
      const author = writers.check(request.writer);
      if (request.operations.length > MAX_BATCH) {
        throw new RequestError(
          status.INVALID_ARGUMENT,
          `${request.operations.length} operations are more than the ${MAX_BATCH} of one batch`,
        );
      }
      drills?.refresh();
      return {
        results: request.operations.map((operation) => this.#run(operation, author)),
        revision: revisions.of(author.owner),
      };
    } finally {
      for (const { addSa } of request.operations) {
        addSa?.sa?.encryptionKey.fill(0);
        addSa?.sa?.integrityKey.fill(0);
      }
    }
  }

  #run(operation: Operation, author: Author): OperationResult {
    const { drills, logger, revisions } = this.#options;
    try {
      const drill = drills?.refusal(operation);
      if (drill !== undefined) throw new Refusal(drill.code, drill.message);
      const outcome = this.#dispatch(operation, author);
      const isUnchanged = outcome.isUnchanged ?? false;
      if (!isUnchanged && outcome.spi === undefined) revisions.advance(author.owner);
      return {
        code: ResultCode.RESULT_CODE_OK,
        message: '',
        spi: outcome.spi ?? 0,
        counters: outcome.counters,
        unchanged: isUnchanged,
      };
    } catch (error) {
      const message = errorMessage(error);
      if (error instanceof Refusal) {
        logger.warn({ owner: author.owner, code: error.result, reason: message }, 'operation refused');
        return { ...OperationResult.create(), code: error.result, message };
      }
      logger.error({ owner: author.owner, err: error }, 'operation failed');
      return { ...OperationResult.create(), code: ResultCode.RESULT_CODE_INTERNAL, message };
    }
  }

  #dispatch(operation: Operation, author: Author): Outcome {
    const kinds = Object.values(operation).filter((kind) => kind !== undefined);
    if (kinds.length !== 1) {
      throw new Refusal(
        ResultCode.RESULT_CODE_INVALID,
        `an operation is of one kind, this one of ${kinds.length}`,
      );
    }
    const { spd } = this.#options;
    const { addSa, updateSa, deleteSa, putPolicy, deletePolicy, reserveSpi } = operation;
    if (addSa) return this.#addSa(addSa.sa, author);
    if (updateSa) return this.#updateSa(updateSa, author);
    if (deleteSa) return this.#deleteSa(deleteSa, author);
    if (putPolicy) return spd.put(putPolicy.policy, author);
    if (deletePolicy) return { isUnchanged: !spd.delete(deletePolicy, author) };
    return this.#reserveSpi(reserveSpi?.protocol ?? 0);
  }

  #addSa(...[sa, author]: Parameters<Sad['add']>): Outcome {
    const { sad, lifetimes, reservations, logger } = this.#options;
    const { record, request, isUnchanged } = sad.add(sa, author);
    if (isUnchanged) return { isUnchanged };
    if (record.name.isInbound) reservations.release(record.name.spi);
    lifetimes.start(record.handle, {
      soft: request.softLifetime.seconds,
      hard: request.hardLifetime.seconds,
    });
    logger.debug(
      { owner: author.owner, reqid: record.listed.reqid, sa: describeSa(record.name) },
      'SA added',
    );
    return {};
  }

  #updateSa(...[update, author]: Parameters<Sad['update']>): Outcome {
    const { sad, logger } = this.#options;
    const record = sad.update(update, author);
    logger.debug(
      { owner: author.owner, reqid: record.listed.reqid, sa: describeSa(record.name) },
      'SA moved',
    );
    return {};
  }

  #deleteSa(...[request, author]: Parameters<Sad['find']>): Outcome {
    const { sad, lifetimes, reservations, logger } = this.#options;
    const record = sad.findToDelete(request, author);
    if (record === undefined) {
      // An SPI that was drawn and never used is given back this way.
      reservations.release(request.id?.spi ?? 0);
      return { isUnchanged: true };
    }
    lifetimes.stop(record.handle);
    const counters = sad.remove(record);
    logger.debug(
      { owner: author.owner, reqid: record.listed.reqid, sa: describeSa(record.name) },
      'SA deleted',
    );
    return { counters };
  }

  #reserveSpi(protocol: Parameters<typeof parseProtocol>[0]): Outcome {
    const { sad, reservations } = this.#options;
    parseProtocol(protocol);
    return { spi: reservations.reserve((spi) => sad.hasInboundSpi(spi)) };
  }
}
