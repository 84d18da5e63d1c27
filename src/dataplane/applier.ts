import {
  type ApplyRequest,
  type ApplyResponse,
  type Operation,
  type OperationResult,
  ResultCode,
  type SaCounters,
} from '../proto/index.ts';
import {
  type Author,
  checkBatchSize,
  checkOneKind,
  type Lifetimes,
  Refusal,
  type Revisions,
  resultOfFailure,
  type Writers,
  wipeRequestKeys,
} from '../server/index.ts';
import type { Logger } from '../util/index.ts';
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
      checkBatchSize(request, MAX_BATCH);
      drills?.refresh();
      return {
        results: request.operations.map((operation) => this.#run(operation, author)),
        revision: revisions.of(author.owner),
      };
    } finally {
      wipeRequestKeys(request);
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
      return resultOfFailure(error, author.owner, logger);
    }
  }

  #dispatch(operation: Operation, author: Author): Outcome {
    checkOneKind(operation);
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
