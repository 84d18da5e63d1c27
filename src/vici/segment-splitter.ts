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
    let rest = chunk;
    while (rest.length > 0) {
      const count = Math.min(rest.length, this.#isInBody ? this.#missing : LENGTH_BYTES - this.#lengthCount);
      const piece = rest.subarray(0, count);
      rest = rest.subarray(count);
      this.#offset += count;
      if (!this.#isInBody) {
        this.#takeLength(piece);
        continue;
      }
      this.#missing -= count;
      this.#pieces.push(piece);
      if (this.#missing > 0) continue;
      const bytes = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#lengthCount = 0;
      yield { bytes, offset: this.#offset - bytes.length };
    }
  }

  get #isInBody(): boolean {
    return this.#lengthCount === LENGTH_BYTES;
  }

  #takeLength(piece: Uint8Array): void {
    this.#length.set(piece, this.#lengthCount);
    this.#lengthCount += piece.length;
    if (!this.#isInBody) return;
    this.#missing = this.#length.readUInt32BE(0);
    if (this.#missing >= 1 && this.#missing <= this.#limitBytes) return;
    this.#failure = new MalformedError(
      `a VICI segment of ${this.#missing} bytes, 1 to ${this.#limitBytes} allowed`,
      this.#offset - LENGTH_BYTES,
    );
    throw this.#failure;
  }
}
