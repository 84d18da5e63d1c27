import { MalformedError } from '../util/index.ts';
import { type Attribute, HIGHEST_TAG, REPEATABLE_TAGS } from './attributes.ts';
import { ByteReader } from './byte-reader.ts';
import { CRITICAL_BIT } from './wire.ts';

type Found = { readonly value: Uint8Array; readonly offset: number };

/**
 * The attributes of one frame by their tags. Views, not copies: to be read before
 * the frame is wiped. Unknown ones are skipped unless critical.
 */
export class AttributeReader {
  readonly #found = new Map<number, Found[]>();
  readonly #message: string;
  readonly #offset: number;

  /** `offset` is that of the frame's first byte in the stream. */
  constructor(payload: Uint8Array, message: string, offset: number) {
    this.#message = message;
    this.#offset = offset;
    const reader = new ByteReader(payload, message, offset);
    while (reader.remaining > 0) {
      const at = offset + payload.length - reader.remaining;
      const tag = reader.u16();
      const length = reader.u16();
      const valueOffset = offset + payload.length - reader.remaining;
      this.#add(tag, { value: reader.bytes(length), offset: valueOffset }, at);
    }
  }

  required<T>(attribute: Attribute<T>): T {
    const value = this.optional(attribute);
    if (value === undefined) {
      throw new MalformedError(`${this.#message} without ${attribute.name}`, this.#offset);
    }
    return value;
  }

  optional<T>(attribute: Attribute<T>): T | undefined {
    const found = this.#found.get(attribute.tag);
    if (found === undefined) return undefined;
    const [first, second] = found;
    if (second !== undefined) {
      throw new MalformedError(`${this.#message}: a second ${attribute.name}`, second.offset);
    }
    return first && this.#decode(attribute, first);
  }

  repeated<T>(attribute: Attribute<T>): readonly T[] {
    return (this.#found.get(attribute.tag) ?? []).map((found) => this.#decode(attribute, found));
  }

  #decode<T>(attribute: Attribute<T>, { value, offset }: Found): T {
    const reader = new ByteReader(value, `${this.#message}: ${attribute.name}`, offset);
    const decoded = attribute.codec.decode(reader);
    reader.end();
    return decoded;
  }

  #add(tag: number, found: Found, offset: number): void {
    if (tag > HIGHEST_TAG || tag === 0) {
      if ((tag & CRITICAL_BIT) === 0) return;
      throw new MalformedError(`${this.#message}: unknown critical attribute ${tag}`, offset);
    }
    const others = this.#found.get(tag);
    if (others === undefined) {
      this.#found.set(tag, [found]);
    } else if (REPEATABLE_TAGS.has(tag)) {
      others.push(found);
    } else {
      throw new MalformedError(`${this.#message}: a second attribute ${tag}`, offset);
    }
  }
}
