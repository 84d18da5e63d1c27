import { BinaryReader } from '@bufbuild/protobuf/wire';
import { formatAddress, formatIpv4 } from '../util/index.ts';
import { malformed } from './malformed.ts';

/** Different addresses whose text is kept. */
const KEPT_ADDRESSES = 65_536;

/**
 * Texts that come again and again: the addresses of a tunnel are in each of its SAs and policies, charon's
 * instance id is in all. Each is made and kept once.
 */
export class Texts {
  readonly #ipv4 = new Map<number, string>();
  #hexBytes = Buffer.alloc(0);
  #hex = '';

  /** Of an address in host order. */
  ofIpv4(address: number): string {
    const known = this.#ipv4.get(address);
    if (known !== undefined) return known;
    if (this.#ipv4.size === KEPT_ADDRESSES) this.#ipv4.clear();
    const text = formatIpv4(address);
    this.#ipv4.set(address, text);
    return text;
  }

  /** Hex of bytes that are probably those of the last time. */
  hexAgain(bytes: Buffer): string {
    if (!this.#hexBytes.equals(bytes)) {
      this.#hexBytes = Buffer.from(bytes);
      this.#hex = bytes.toString('hex');
    }
    return this.#hex;
  }
}

/** The tag of a field that is a varint. */
export function varint(field: number): number {
  return field << 3;
}

/** The tag of a field with its length before it: a message, bytes or text. */
export function sized(field: number): number {
  return (field << 3) | 2;
}

/** A message that is being read: fields that did not come are as the contract's defaults. */
export type Draft<T> = { -readonly [Name in keyof T]: T[Name] };

/** What is read of an entry of a listing besides what it is about. */
export type Owned = { readonly ownerId: Buffer; isOurs: boolean };

/** How each field of a message is read into `target`, by its tag. */
export type Fields<Target> = Readonly<Record<number, (target: Target, from: WireReader) => void>>;

/**
 * Reads protobuf fields where they are, for messages of which there are tens of thousands: the generated
 * decoders make an object for every message in a message, and a buffer for every address.
 */
export class WireReader {
  readonly #bytes: Buffer;
  readonly #reader: BinaryReader;
  readonly #texts: Texts;

  constructor(bytes: Buffer, texts: Texts) {
    this.#bytes = bytes;
    this.#reader = new BinaryReader(bytes);
    this.#texts = texts;
  }

  /** Reads all there is into `target`; fields that are not among these are skipped. */
  all<Target>(target: Target, fields: Fields<Target>): Target {
    return this.#until(this.#reader.len, target, fields);
  }

  /** The same for the message that comes next. */
  message<Target>(target: Target, fields: Fields<Target>): Target {
    const end = this.#end();
    this.#until(end, target, fields);
    if (this.#reader.pos !== end) throw malformed('a message longer than it says');
    return target;
  }

  u32(): number {
    return this.#reader.uint32();
  }

  u64(): bigint {
    return BigInt(this.#reader.uint64());
  }

  bool(): boolean {
    return this.#reader.bool();
  }

  text(): string {
    return this.#reader.string();
  }

  /** A copy. */
  bytes(): Uint8Array {
    return Uint8Array.from(this.#reader.bytes());
  }

  hex(): string {
    return this.#view().toString('hex');
  }

  /** Hex of bytes that are the same in most messages. */
  hexAgain(): string {
    return this.#texts.hexAgain(this.#view());
  }

  /** Whether the bytes that come next are these. */
  isNext(expected: Buffer): boolean {
    return expected.equals(this.#view());
  }

  /** The bytes of an address as its text. */
  address(): string {
    const end = this.#end();
    const start = this.#reader.pos;
    this.#reader.pos = end;
    if (end - start === 4) return this.#texts.ofIpv4(this.#bytes.readUInt32BE(start));
    if (end - start === 16) return formatAddress(this.#bytes.subarray(start, end));
    throw malformed(`an address of ${end - start} bytes`);
  }

  /** What comes next, where it is. */
  #view(): Buffer {
    const end = this.#end();
    const view = this.#bytes.subarray(this.#reader.pos, end);
    this.#reader.pos = end;
    return view;
  }

  /** Of what comes next and has its length before it. */
  #end(): number {
    const length = this.#reader.uint32();
    const end = this.#reader.pos + length;
    if (end > this.#reader.len)
      throw malformed(`${length} bytes where ${this.#reader.len - end + length} are`);
    return end;
  }

  #until<Target>(end: number, target: Target, fields: Fields<Target>): Target {
    const reader = this.#reader;
    while (reader.pos < end) {
      const tag = reader.uint32();
      const read = fields[tag];
      if (read === undefined) reader.skip(tag & 7);
      else read(target, this);
    }
    return target;
  }
}
