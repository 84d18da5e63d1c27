import { asBuffer } from './as-buffer.ts';

/**
 * A value within a message: where its bytes are. The view and the text are made when
 * somebody asks, because most of a listing is never looked at.
 */
export class ViciValue {
  readonly #message: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(message: Buffer, start: number, end: number) {
    this.#message = message;
    this.#start = start;
    this.#end = end;
  }

  /** A value that is nowhere yet. */
  static of(bytes: Uint8Array): ViciValue {
    return new ViciValue(asBuffer(bytes), 0, bytes.length);
  }

  /** A view into the message. */
  get bytes(): Uint8Array {
    return this.#message.subarray(this.#start, this.#end);
  }

  /** As UTF-8, which is what charon writes nearly everywhere. */
  get text(): string {
    return this.#message.toString('utf8', this.#start, this.#end);
  }

  /** An unsigned decimal number of up to 15 digits, or -1: read without a text in between. */
  get decimal(): number {
    return readDigits(this.#message, this.#start, this.#end, 10, 15);
  }

  /** An unsigned hexadecimal number of up to 8 digits, without capitals, or -1. */
  get hexadecimal(): number {
    return readDigits(this.#message, this.#start, this.#end, 16, 8);
  }
}

/** The number that these bytes write in lower case, or -1: empty, too long, anything but digits. */
export function readDigits(
  bytes: Buffer,
  start: number,
  end: number,
  base: 10 | 16,
  lengthLimit: number,
): number {
  if (end === start || end - start > lengthLimit) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    const isDigit = byte >= 0x30 && byte <= 0x39;
    if (!isDigit && (base === 10 || byte < 0x61 || byte > 0x66)) return -1;
    value = value * base + byte - (isDigit ? 0x30 : 0x57);
  }
  return value;
}
