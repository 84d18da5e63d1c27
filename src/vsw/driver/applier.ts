import { randomInt } from 'node:crypto';
import {
  type ApplyRequest,
  type ApplyResponse,
  type Operation,
  OperationResult,
  ResultCode,
} from '../../proto/index.ts';
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
} from '../../server/index.ts';
import type { Logger } from '../../util/index.ts';
import type { SlotTable } from '../slots/index.ts';
import { noCounters, type SaRecord } from './sa-record.ts';
import { checkProtocol, describeSa } from './sa-request.ts';
import { reserveSpi } from './spi-reservations.ts';
import type { VswSad } from './vsw-sad.ts';
import type { VswSpd } from './vsw-spd.ts';

export const MAX_BATCH = 256;

export type ApplierOptions = {
  readonly sad: VswSad;
  readonly spd: VswSpd;
  readonly slots: ReadonlyMap<string, SlotTable>;
  readonly lifetimes: Lifetimes<SaRecord>;
  readonly writers: Writers;
  readonly revisions: Revisions;
  readonly onChange: () => void;
  readonly logger: Logger;
};

type Outcome = Partial<Pick<OperationResult, 'unchanged' | 'counters' | 'spi'>>;

function giveBack(table: SlotTable, spi: number): void {
  if (table.holder('inbound', spi)?.kind === 'reserved') table.release('inbound', spi);
}

/** Applies batches: operations are begun in order, and wait for vsw beside each other. */
export class Applier {
  readonly #options: ApplierOptions;

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /**
   * Wipes the request's keys, whatever happens.
   * @throws RequestError when nothing was applied
   */
  async apply(request: ApplyRequest): Promise<ApplyResponse> {
    const { writers, revisions } = this.#options;
    let running: readonly Promise<OperationResult>[];
    let author: Author;
    try {
      author = writers.check(request.writer);
      checkBatchSize(request, MAX_BATCH);
      const by = author;
      running = request.operations.map((operation) => this.#run(operation, by));
    } finally {
      wipeRequestKeys(request);
    }
    const results = await Promise.all(running);
    return { results, revision: revisions.of(author.owner) };
  }

  async #run(operation: Operation, author: Author): Promise<OperationResult> {
    const { logger, revisions, onChange } = this.#options;
    // What is on its way may be in vsw when this process ends.
    if (operation.addSa !== undefined || operation.putPolicy !== undefined) onChange();
    try {
      const outcome = await this.#dispatch(operation, author);
      if (outcome.unchanged !== true && outcome.spi === undefined) {
        revisions.advance(author.owner);
        onChange();
      }
      return { ...OperationResult.create(), ...outcome, code: ResultCode.RESULT_CODE_OK };
    } catch (error) {
      onChange();
      return resultOfFailure(error, author.owner, logger);
    }
  }

  #dispatch(operation: Operation, author: Author): Promise<Outcome> | Outcome {
    checkOneKind(operation);
    const { spd } = this.#options;
    const { addSa, updateSa, deleteSa, putPolicy, deletePolicy, reserveSpi: reserve } = operation;
    if (addSa) return this.#addSa(addSa.sa, author);
    if (updateSa) {
      throw new Refusal(
        ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
        'FEATURE_UPDATE_SA is not supported: vsw says yes to a changed SA and changes nothing; rekey it',
      );
    }
    if (deleteSa) return this.#deleteSa(deleteSa, author);
    if (putPolicy)
      return spd.put(putPolicy.policy, author).then(({ isUnchanged }) => ({ unchanged: isUnchanged }));
    if (deletePolicy) return spd.delete(deletePolicy, author).then((wasThere) => ({ unchanged: !wasThere }));
    return this.#reserveSpi(reserve?.protocol ?? 0);
  }

  async #addSa(...[sa, author]: Parameters<VswSad['add']>): Promise<Outcome> {
    const { sad, lifetimes, logger, slots } = this.#options;
    const { record, isUnchanged } = await sad.add(sa, author);
    if (isUnchanged) return { unchanged: true };
    const { name, vrf, softSeconds, hardSeconds, listed } = record.request;
    lifetimes.start(record, { soft: BigInt(softSeconds), hard: BigInt(hardSeconds) });
    for (const [other, table] of slots) {
      if (other !== vrf) giveBack(table, name.spi);
    }
    logger.debug({ owner: author.owner, vrf, reqid: listed.reqid, sa: describeSa(name) }, 'SA added');
    return {};
  }

  async #deleteSa(...[request, author]: Parameters<VswSad['find']>): Promise<Outcome> {
    const { sad, lifetimes, logger, slots } = this.#options;
    const record = sad.find(request, author);
    if (record === undefined) {
      // An SPI that was drawn and never used is given back this way.
      const spi = request.id?.spi ?? 0;
      for (const table of slots.values()) giveBack(table, spi);
      return { unchanged: true };
    }
    if (!(await sad.remove(record))) return { unchanged: true };
    lifetimes.stop(record);
    const { name, vrf, listed } = record.request;
    logger.debug({ owner: author.owner, vrf, reqid: listed.reqid, sa: describeSa(name) }, 'SA deleted');
    return { counters: noCounters };
  }

  #reserveSpi(protocol: Parameters<typeof checkProtocol>[0]): Outcome {
    const { sad, slots } = this.#options;
    checkProtocol(protocol);
    return { spi: reserveSpi(slots.values(), (spi) => sad.hasSpi(spi), randomInt) };
  }
}
