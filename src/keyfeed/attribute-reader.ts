import { MalformedError } from '../util/index.ts';
import { type Attribute, HIGHEST_TAG, REPEATABLE_TAGS } from './attributes.ts';
import { ByteReader } from './byte-reader.ts';
import { CRITICAL_BIT } from './wire.ts';

/** Where a value is in the frame. */
type Found = { readonly position: number; readonly length: number };

/** The frame's type comes before its attributes. */
const TYPE_BYTES = 1;

/**
 * The attributes of a frame by their tags, of one frame after the other. Values are read where they are:
 * to be done before the frame is wiped. Unknown ones are skipped unless critical.
 */
export class AttributeReader {
  /** By tag; 0, where the type is, when there is none. */
  readonly #positions: number[] = Array(HIGHEST_TAG + 1).fill(0);
  readonly #lengths: number[] = Array(HIGHEST_TAG + 1).fill(0);
  /** What came after the first one of its tag. */
  #others: Map<number, Found[]> | undefined;
  readonly #reader = new ByteReader();
  #message = '';
  #offset = 0;

  /** From now on reads this frame. `offset` is that of its first byte in the stream. */
  open(frame: Uint8Array, message: string, offset: number): void {
    this.#message = message;
    this.#offset = offset;
    this.#others = undefined;
    this.#positions.fill(0);
    const reader = this.#reader;
    reader.open(frame, message, offset);
    reader.skip(TYPE_BYTES);
    while (reader.remaining > 0) {
      const at = reader.position;
      const tag = reader.u16();
      const length = reader.u16();
      const { position } = reader;
      reader.skip(length);
      this.#add(tag, position, length, offset + at);
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
    const { tag } = attribute;
    const position = this.#positionOf(tag);
    if (position === 0) return undefined;
    const second = this.#others?.get(tag)?.[0];
    if (second !== undefined) {
      throw new MalformedError(
        `${this.#message}: a second ${attribute.name}`,
        this.#offset + second.position,
      );
    }
    return this.#decode(attribute, position, this.#lengthOf(tag));
  }

  repeated<T>(attribute: Attribute<T>): readonly T[] {
    const { tag } = attribute;
    const position = this.#positionOf(tag);
    if (position === 0) return [];
    const values = [this.#decode(attribute, position, this.#lengthOf(tag))];
    for (const other of this.#others?.get(tag) ?? []) {
      values.push(this.#decode(attribute, other.position, other.length));
    }
    return values;
  }

  #positionOf(tag: number): number {
    return this.#positions[tag] ?? 0;
  }

  #lengthOf(tag: number): number {
    return this.#lengths[tag] ?? 0;
  }

  #decode<T>(attribute: Attribute<T>, position: number, length: number): T {
    this.#reader.narrow(position, length, attribute.name);
    const decoded = attribute.codec.decode(this.#reader);
    this.#reader.end();
    return decoded;
  }

  #add(tag: number, position: number, length: number, offset: number): void {
    if (tag > HIGHEST_TAG || tag === 0) {
      if ((tag & CRITICAL_BIT) === 0) return;
      throw new MalformedError(`${this.#message}: unknown critical attribute ${tag}`, offset);
    }
    if (this.#positionOf(tag) === 0) {
      this.#positions[tag] = position;
      this.#lengths[tag] = length;
      return;
    }
    if (!REPEATABLE_TAGS.has(tag)) {
      throw new MalformedError(`${this.#message}: a second attribute ${tag}`, offset);
    }
    this.#others ??= new Map();
    const others = this.#others.get(tag);
    const found = { position, length };
    if (others === undefined) this.#others.set(tag, [found]);
    else others.push(found);
  }
}
