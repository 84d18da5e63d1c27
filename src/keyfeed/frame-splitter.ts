import { MalformedError } from '../util/index.ts';
import { FRAME_LIMIT_BYTES } from './wire.ts';

const HEADER_BYTES = 4;

/** The type and attributes of one message. Valid until the next step of the loop. */
export type Frame = {
  readonly bytes: Uint8Array;
  /** Where `bytes` starts in the stream. */
  readonly offset: number;
};

/**
 * From a byte stream in any chunks to frames. Every byte it was given is overwritten
 * once its frame has been consumed, because frames carry keys. A length outside the
 * limits poisons it: there is no way to find the next frame.
 */
export class FrameSplitter {
  readonly #limitBytes: number;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  #headerLength = 0;
  /** Of the frame whose header is complete. */
  #frameBytes = 0;
  #body: Uint8Array | undefined;
  #bodyLength = 0;
  #offset = 0;
  #failure: MalformedError | undefined;

  constructor(limitBytes = FRAME_LIMIT_BYTES) {
    this.#limitBytes = limitBytes;
  }

  /** True between two frames: the place where a stream may end. */
  get isAtBoundary(): boolean {
    return this.#headerLength === 0;
  }

  /** Takes over `chunk` and zeroes it when the loop ends, however it ends. */
  *push(chunk: Uint8Array): Generator<Frame, void, undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    let position = 0;
    try {
      while (position < chunk.length) {
        if (this.#headerLength < HEADER_BYTES) {
          position += this.#takeHeader(chunk, position);
          continue;
        }
        const frameBytes = this.#frameBytes;
        const available = Math.min(frameBytes - this.#bodyLength, chunk.length - position);
        const piece = chunk.subarray(position, position + available);
        position += available;
        const whole = this.#takeBody(piece, frameBytes);
        if (whole === undefined) continue;
        const offset = this.#offset - frameBytes;
        try {
          yield { bytes: whole, offset };
        } finally {
          whole.fill(0);
        }
      }
    } finally {
      chunk.fill(0);
    }
  }

  /** Overwrites what is left of an incomplete frame. */
  wipe(): void {
    this.#body?.fill(0);
    this.#header.fill(0);
  }

  #takeHeader(chunk: Uint8Array, position: number): number {
    const count = Math.min(HEADER_BYTES - this.#headerLength, chunk.length - position);
    for (let at = 0; at < count; at += 1) this.#header[this.#headerLength + at] = chunk[position + at] ?? 0;
    this.#headerLength += count;
    this.#offset += count;
    if (this.#headerLength === HEADER_BYTES) this.#checkLength();
    return count;
  }

  #checkLength(): void {
    const length = this.#headerView.getUint32(0);
    this.#frameBytes = length;
    if (length >= 1 && length <= this.#limitBytes) return;
    this.#failure = new MalformedError(
      `a frame of ${length} bytes, 1 to ${this.#limitBytes} allowed`,
      this.#offset - HEADER_BYTES,
    );
    throw this.#failure;
  }

  /** The frame when it is complete. A frame that came in one piece is not copied. */
  #takeBody(piece: Uint8Array, frameBytes: number): Uint8Array | undefined {
    this.#offset += piece.length;
    if (this.#body === undefined && piece.length === frameBytes) {
      this.#headerLength = 0;
      return piece;
    }
    this.#body ??= new Uint8Array(frameBytes);
    this.#body.set(piece, this.#bodyLength);
    this.#bodyLength += piece.length;
    if (this.#bodyLength < frameBytes) return undefined;
    const body = this.#body;
    this.#body = undefined;
    this.#bodyLength = 0;
    this.#headerLength = 0;
    return body;
  }
}
