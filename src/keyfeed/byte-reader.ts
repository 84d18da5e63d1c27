import { MalformedError } from '../util/index.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads big-endian values from bytes and never past their end. One reader serves a whole frame: what
 * every attribute of every SA would otherwise need an object for adds up.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #offset: number;
  readonly #what: string;
  #part: string | undefined;
  #position = 0;
  #end: number;

  /** `what` and `offset` (of the first byte in the stream) appear in errors. */
  constructor(bytes: Uint8Array, what: string, offset: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#what = what;
    this.#offset = offset;
    this.#end = bytes.length;
  }

  get remaining(): number {
    return this.#end - this.#position;
  }

  /** Of the next byte, among the bytes it was made of. */
  get position(): number {
    return this.#position;
  }

  /** Reads `length` bytes at a position next, and nothing else; `part` says in errors what they are. */
  narrow(position: number, length: number, part: string): void {
    this.#position = position;
    this.#end = position + length;
    this.#part = part;
  }

  skip(count: number): void {
    this.#advance(count);
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
    const where = this.#part === undefined ? this.#what : `${this.#what}: ${this.#part}`;
    return new MalformedError(`${where}: ${problem}`, this.#offset + this.#position);
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
