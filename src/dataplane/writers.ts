import { status } from '@grpc/grpc-js';
import type { Writer } from '../proto/index.ts';
import { RequestError } from './request-error.ts';
import type { Author } from './sad.ts';

const MAX_OWNERS = 64;
const MAX_OWNER_BYTES = 64;
const MAX_INSTANCE_BYTES = 64;

/** Who may write whose entries: the last one who asked, and nobody before. */
export class Writers {
  readonly #epochs = new Map<string, bigint>();
  readonly #before: bigint;

  /** `before`: unpredictable, so that an epoch of an earlier boot is no epoch of this one. */
  constructor(before: bigint) {
    this.#before = before;
  }

  /** @throws RequestError */
  acquire(ownerId: string): bigint {
    const bytes = Buffer.byteLength(ownerId);
    if (bytes === 0 || bytes > MAX_OWNER_BYTES) {
      throw new RequestError(
        status.INVALID_ARGUMENT,
        `owner_id: expected 1 to ${MAX_OWNER_BYTES} bytes, got ${bytes}`,
      );
    }
    const current = this.#epochs.get(ownerId);
    if (current === undefined && this.#epochs.size >= MAX_OWNERS) {
      throw new RequestError(status.RESOURCE_EXHAUSTED, `there are ${MAX_OWNERS} owners already`);
    }
    const epoch = (current ?? this.#before) + 1n;
    this.#epochs.set(ownerId, epoch);
    return epoch;
  }

  /** @throws RequestError for a writer that was fenced or never was one. */
  check(writer: Writer | undefined): Author {
    if (writer === undefined) throw new RequestError(status.INVALID_ARGUMENT, 'the request has no writer');
    const { ownerId, epoch, charonInstanceId } = writer;
    const current = this.#epochs.get(ownerId);
    if (current === undefined) {
      throw new RequestError(
        status.FAILED_PRECONDITION,
        `nobody writes for owner ${JSON.stringify(ownerId)}: AcquireWriter comes first`,
      );
    }
    if (epoch !== current) {
      throw new RequestError(
        status.FAILED_PRECONDITION,
        `epoch ${epoch} of owner ${JSON.stringify(ownerId)} is fenced: another writer has epoch ${current}`,
      );
    }
    if (charonInstanceId.length > MAX_INSTANCE_BYTES) {
      throw new RequestError(
        status.INVALID_ARGUMENT,
        `charon_instance_id: at most ${MAX_INSTANCE_BYTES} bytes`,
      );
    }
    return { owner: ownerId, charonInstanceId };
  }
}
