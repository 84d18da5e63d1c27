import { MalformedError } from '../util/index.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

const NOTHING = new Uint8Array(0);

/**
 * Reads big-endian values from bytes and never past their end. One reader serves frame after frame: what
 * every attribute of every SA would otherwise need an object for adds up.
 */
export class ByteReader {
  #bytes: Uint8Array = NOTHING;
  #offset = 0;
  #what = '';
  #part: string | undefined;
  #position = 0;
  #end = 0;

  /** From now on reads these bytes. `what` and `offset` (of their first in the stream) appear in errors. */
  open(bytes: Uint8Array, what: string, offset: number): void {
    this.#bytes = bytes;
    this.#what = what;
    this.#offset = offset;
    this.#part = undefined;
    this.#position = 0;
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
    return this.#byte(this.#advance(1));
  }

  u16(): number {
    const at = this.#advance(2);
    return (this.#byte(at) << 8) | this.#byte(at + 1);
  }

  u32(): number {
    return this.#word(this.#advance(4));
  }

  u64(): bigint {
    const at = this.#advance(8);
    const high = this.#word(at);
    const low = this.#word(at + 4);
    return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
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

  /** At a position that was advanced over. A DataView for every frame would cost more than all its values. */
  #byte(at: number): number {
    return this.#bytes[at] ?? 0;
  }

  #word(at: number): number {
    return (
      ((this.#byte(at) << 24) |
        (this.#byte(at + 1) << 16) |
        (this.#byte(at + 2) << 8) |
        this.#byte(at + 3)) >>>
      0
    );
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
