import { MalformedError } from '../util/index.ts';
import { asBuffer } from './as-buffer.ts';
import { knownNames, type NameTable } from './name-table.ts';
import { ViciValue } from './vici-value.ts';
import { type ELEMENT_TYPE, NESTING_LIMIT } from './wire.ts';

export type ElementKind = keyof typeof ELEMENT_TYPE;

/** By its number; there is no 0. */
const kinds: readonly (ElementKind | undefined)[] = [
  undefined,
  'section-start',
  'section-end',
  'key-value',
  'list-start',
  'list-item',
  'list-end',
];

/**
 * Walks over a message element by element, without building anything, and refuses
 * what the format does not allow: unbalanced sections, items outside of a list,
 * anything but items inside of one. Names and values are decoded on demand.
 */
export class ElementCursor {
  readonly #bytes: Buffer;
  readonly #offset: number;
  readonly #names: Pick<NameTable, 'get'>;
  #position = 0;
  #depth = 0;
  #isInList = false;
  #nameStart = 0;
  #nameEnd = 0;
  #valueStart = 0;

  /** `offset` is where the message starts in the stream, for errors. */
  constructor(message: Uint8Array, offset = 0, names: Pick<NameTable, 'get'> = knownNames) {
    this.#names = names;
    this.#bytes = asBuffer(message);
    this.#offset = offset;
  }

  /** Goes to the next element; undefined at the end of a message that is whole. */
  next(): ElementKind | undefined {
    const start = this.#position;
    if (start === this.#bytes.length) {
      if (this.#depth > 0 || this.#isInList)
        throw this.#malformed('the message ends within a section or list', start);
      return undefined;
    }
    const kind = kinds[this.#bytes[start] ?? 0];
    if (kind === undefined) throw this.#malformed(`unknown element ${this.#bytes[start]}`, start);
    this.#position += 1;
    switch (kind) {
      case 'section-start':
        this.#requireList(false, kind, start);
        this.#readName();
        this.#depth += 1;
        if (this.#depth > NESTING_LIMIT)
          throw this.#malformed(`more than ${NESTING_LIMIT} nested sections`, start);
        break;
      case 'section-end':
        this.#requireList(false, kind, start);
        if (this.#depth === 0) throw this.#malformed('a section ends that never began', start);
        this.#depth -= 1;
        break;
      case 'key-value':
        this.#requireList(false, kind, start);
        this.#readName();
        this.#readValue();
        break;
      case 'list-start':
        this.#requireList(false, kind, start);
        this.#readName();
        this.#isInList = true;
        break;
      case 'list-item':
        this.#requireList(true, kind, start);
        this.#readValue();
        break;
      case 'list-end':
        this.#requireList(true, kind, start);
        this.#isInList = false;
        break;
    }
    return kind;
  }

  /** Of a section-start, key-value or list-start. */
  name(): string {
    return this.#names.get(this.#bytes, this.#nameStart, this.#nameEnd);
  }

  /** Of a key-value or list-item. */
  value(): ViciValue {
    return new ViciValue(this.#bytes, this.#valueStart, this.#position);
  }

  #readName(): void {
    const length = this.#bytes[this.#position];
    if (length === undefined) throw this.#malformed('the message ends before a name', this.#position);
    this.#nameStart = this.#position + 1;
    this.#nameEnd = this.#nameStart + length;
    this.#advanceTo(this.#nameEnd, 'a name');
  }

  #readValue(): void {
    this.#valueStart = this.#position + 2;
    if (this.#valueStart > this.#bytes.length) {
      throw this.#malformed('the message ends before a value', this.#position);
    }
    this.#advanceTo(this.#valueStart + this.#bytes.readUInt16BE(this.#position), 'a value');
  }

  #advanceTo(position: number, what: string): void {
    if (position > this.#bytes.length) {
      throw this.#malformed(`the message ends within ${what}`, this.#position);
    }
    this.#position = position;
  }

  #requireList(isInList: boolean, kind: ElementKind, position: number): void {
    if (this.#isInList === isInList) return;
    throw this.#malformed(`${kind} ${isInList ? 'outside' : 'inside'} of a list`, position);
  }

  #malformed(problem: string, position: number): MalformedError {
    return new MalformedError(`VICI message: ${problem}`, this.#offset + position);
  }
}
