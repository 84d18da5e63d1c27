import { MalformedError } from '../util/index.ts';
import { SEGMENT_LIMIT_BYTES } from './wire.ts';

const LENGTH_BYTES = 4;

/** The bytes of one packet. */
export type Segment = {
  readonly bytes: Uint8Array;
  /** Where `bytes` starts in the stream. */
  readonly offset: number;
};

/**
 * From a byte stream in any chunks to segments. A segment that lies within one chunk
 * is a view of it. A length outside the limits poisons the splitter.
 */
export class SegmentSplitter {
  readonly #limitBytes: number;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthCount = 0;
  #pieces: Uint8Array[] = [];
  #missing = 0;
  #offset = 0;
  #failure: MalformedError | undefined;

  constructor(limitBytes = SEGMENT_LIMIT_BYTES) {
    this.#limitBytes = limitBytes;
  }

  /** True between two segments: the place where a stream may end. */
  get isAtBoundary(): boolean {
    return this.#lengthCount === 0;
  }

  *push(chunk: Uint8Array): Generator<Segment, void, undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    let at = 0;
    while (at < chunk.length) {
      if (!this.#isInBody) {
        at += this.#takeLength(chunk, at);
        continue;
      }
      const count = Math.min(chunk.length - at, this.#missing);
      const piece = chunk.subarray(at, at + count);
      at += count;
      this.#offset += count;
      this.#missing -= count;
      if (this.#missing > 0) {
        this.#pieces.push(piece);
        continue;
      }
      const bytes = this.#pieces.length === 0 ? piece : Buffer.concat([...this.#pieces, piece]);
      this.#pieces = [];
      this.#lengthCount = 0;
      yield { bytes, offset: this.#offset - bytes.length };
    }
  }

  get #isInBody(): boolean {
    return this.#lengthCount === LENGTH_BYTES;
  }

  /** Gives how many bytes it took. */
  #takeLength(chunk: Uint8Array, at: number): number {
    const count = Math.min(chunk.length - at, LENGTH_BYTES - this.#lengthCount);
    for (let index = 0; index < count; index += 1) {
      this.#length[this.#lengthCount + index] = chunk[at + index] ?? 0;
    }
    this.#lengthCount += count;
    this.#offset += count;
    if (this.#isInBody) this.#begin(this.#length.readUInt32BE(0));
    return count;
  }

  #begin(length: number): void {
    this.#missing = length;
    if (length >= 1 && length <= this.#limitBytes) return;
    this.#failure = new MalformedError(
      `a VICI segment of ${length} bytes, 1 to ${this.#limitBytes} allowed`,
      this.#offset - LENGTH_BYTES,
    );
    throw this.#failure;
  }
}
