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
}
