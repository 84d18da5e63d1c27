import { MalformedError } from '../util/index.ts';
import { type Attribute, HIGHEST_TAG, REPEATABLE_TAGS } from './attributes.ts';
import { ByteReader } from './byte-reader.ts';
import { CRITICAL_BIT } from './wire.ts';

/** Where a value is in the payload. */
type Found = { readonly position: number; readonly length: number };

/**
 * The attributes of one frame by their tags. Values are read where they are: to be done
 * before the frame is wiped. Unknown ones are skipped unless critical.
 */
export class AttributeReader {
  /** By tag; most come once. */
  readonly #found: (Found | undefined)[] = [];
  /** What came after the first one of its tag. */
  #others: Map<number, Found[]> | undefined;
  readonly #reader: ByteReader;
  readonly #message: string;
  readonly #offset: number;

  /** `offset` is that of the frame's first byte in the stream. */
  constructor(payload: Uint8Array, message: string, offset: number) {
    this.#message = message;
    this.#offset = offset;
    this.#reader = new ByteReader(payload, message, offset);
    const reader = this.#reader;
    while (reader.remaining > 0) {
      const at = reader.position;
      const tag = reader.u16();
      const length = reader.u16();
      const { position } = reader;
      reader.skip(length);
      this.#add(tag, { position, length }, offset + at);
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
    const found = this.#found[attribute.tag];
    if (found === undefined) return undefined;
    const second = this.#others?.get(attribute.tag)?.[0];
    if (second !== undefined) {
      throw new MalformedError(
        `${this.#message}: a second ${attribute.name}`,
        this.#offset + second.position,
      );
    }
    return this.#decode(attribute, found);
  }

  repeated<T>(attribute: Attribute<T>): readonly T[] {
    const first = this.#found[attribute.tag];
    if (first === undefined) return [];
    return [first, ...(this.#others?.get(attribute.tag) ?? [])].map((found) =>
      this.#decode(attribute, found),
    );
  }

  #decode<T>(attribute: Attribute<T>, { position, length }: Found): T {
    this.#reader.narrow(position, length, attribute.name);
    const decoded = attribute.codec.decode(this.#reader);
    this.#reader.end();
    return decoded;
  }

  #add(tag: number, found: Found, offset: number): void {
    if (tag > HIGHEST_TAG || tag === 0) {
      if ((tag & CRITICAL_BIT) === 0) return;
      throw new MalformedError(`${this.#message}: unknown critical attribute ${tag}`, offset);
    }
    if (this.#found[tag] === undefined) {
      this.#found[tag] = found;
      return;
    }
    if (!REPEATABLE_TAGS.has(tag)) {
      throw new MalformedError(`${this.#message}: a second attribute ${tag}`, offset);
    }
    this.#others ??= new Map();
    const others = this.#others.get(tag);
    if (others === undefined) this.#others.set(tag, [found]);
    else others.push(found);
  }
}
