import { MalformedError } from '../util/index.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads big-endian values from bytes and never past their end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  readonly #offset: number;
  #position = 0;

  /** `what` and `offset` (of the first byte in the stream) appear in errors. */
  constructor(bytes: Uint8Array, what: string, offset: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#what = what;
    this.#offset = offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  /** A view of the next bytes, not a copy. */
  bytes(count: number): Uint8Array {
    const start = this.#advance(count);
    return this.#bytes.subarray(start, start + count);
  }

  /** All that is left, as text. */
  text(): string {
    const start = this.#position;
    try {
      return utf8.decode(this.bytes(this.remaining));
    } catch {
      this.#position = start;
      throw this.malformed('text is not UTF-8');
    }
  }

  /** Refuses trailing bytes. */
  end(): void {
    if (this.remaining > 0) throw this.malformed(`${this.remaining} trailing bytes`);
  }

  malformed(problem: string): MalformedError {
    return new MalformedError(`${this.#what}: ${problem}`, this.#offset + this.#position);
  }

  #advance(count: number): number {
    if (count > this.remaining) {
      throw this.malformed(`${count} bytes expected, ${this.remaining} there`);
    }
    const start = this.#position;
    this.#position += count;
    return start;
  }
}
