import { AgentError } from '../util/index.ts';
import type { Attribute } from './attributes.ts';
import { ByteWriter } from './byte-writer.ts';
import { FRAME_LIMIT_BYTES } from './wire.ts';

const LENGTH_BYTES = 4;
const ATTRIBUTE_LIMIT_BYTES = 0xffff;

/** Writes one frame, attribute by attribute. */
export class FrameWriter {
  readonly #writer = new ByteWriter();

  constructor(type: number) {
    this.#writer.u32(0);
    this.#writer.u8(type);
  }

  put<T>(attribute: Attribute<T>, value: T): this {
    this.#writer.u16(attribute.tag);
    const lengthAt = this.#writer.length;
    this.#writer.u16(0);
    attribute.codec.encode(this.#writer, value);
    const lengthBytes = this.#writer.length - lengthAt - 2;
    if (lengthBytes > ATTRIBUTE_LIMIT_BYTES) throw tooLong(attribute.name, lengthBytes);
    this.#writer.patchU16(lengthAt, lengthBytes);
    return this;
  }

  putOptional<T>(attribute: Attribute<T>, value: T | undefined): this {
    return value === undefined ? this : this.put(attribute, value);
  }

  putAll<T>(attribute: Attribute<T>, values: readonly T[]): this {
    for (const value of values) this.put(attribute, value);
    return this;
  }

  /** The whole frame, its length first. */
  finish(): Uint8Array {
    const lengthBytes = this.#writer.length - LENGTH_BYTES;
    if (lengthBytes > FRAME_LIMIT_BYTES) throw tooLong('the frame', lengthBytes);
    this.#writer.patchU32(0, lengthBytes);
    return this.#writer.written();
  }
}

function tooLong(what: string, lengthBytes: number): AgentError {
  return new AgentError(`${what} would have ${lengthBytes} bytes`, { code: 'invalid-input' });
}
