import { asBuffer } from './as-buffer.ts';
import { decodeMessage } from './decode-message.ts';
import { type IkeSa, parseListedIkeSa } from './ike-sa.ts';
import { NameTable } from './name-table.ts';
import { readDigits } from './vici-value.ts';
import { ELEMENT_TYPE } from './wire.ts';

/** What a SAD needs to know of a CHILD_SA. */
export type ChildSaSummary = {
  readonly name: string;
  readonly uniqueId: number;
  readonly reqid: number;
  readonly state: string;
  /** Undefined, with both SPIs, before INSTALLED. */
  readonly protocol: string | undefined;
  readonly encap: boolean;
  readonly spiIn: number | undefined;
  readonly spiOut: number | undefined;
};

export type IkeSaSummary = { readonly uniqueId: number; readonly children: readonly ChildSaSummary[] };

/** The same fields of an IKE_SA that was parsed whole. */
export function summarizeIkeSa(ike: IkeSa): IkeSaSummary {
  const children = [...ike.children.values()].map(({ name, uniqueId, reqid, state, installed }) => ({
    ...{ name, uniqueId, reqid, state },
    protocol: installed?.protocol,
    encap: installed?.encap ?? false,
    spiIn: installed?.inbound.spi,
    spiOut: installed?.outbound.spi,
  }));
  return { uniqueId: ike.uniqueId, children };
}

/** Not charon's usual form: the whole parser has to look. */
const UNUSUAL = -1;
/** A number that has not been read yet. */
const NONE = -2;

/** Values that come in nearly every CHILD_SA. */
const USUAL_VALUES = ['INSTALLED', 'REKEYING', 'REKEYED', 'DELETING', 'DELETED', 'ESP', 'AH'];

// Constants of this module, which the compiler puts into the code: they are compared with every element.
const KEY_VALUE = ELEMENT_TYPE['key-value'];
const LIST_START = ELEMENT_TYPE['list-start'];
const LIST_ITEM = ELEMENT_TYPE['list-item'];
const LIST_END = ELEMENT_TYPE['list-end'];
const SECTION_START = ELEMENT_TYPE['section-start'];
const SECTION_END = ELEMENT_TYPE['section-end'];

/** Length and first letter of the names that are wanted: no other name of charon's shares both. */
const LONGEST_NAME = 8;
const NAME = (4 << 8) | 0x6e;
const STATE = (5 << 8) | 0x73;
const REQID = (5 << 8) | 0x72;
const ENCAP = (5 << 8) | 0x65;
const SPI_IN = (6 << 8) | 0x73;
const SPI_OUT = (7 << 8) | 0x73;
const UNIQUEID = (8 << 8) | 0x75;
const PROTOCOL = (8 << 8) | 0x70;

/**
 * Reads list-sa messages without building them: it hops from element to element, and
 * takes what it wants from the bytes. Whatever is not exactly what charon always writes
 * goes to the whole parser, which knows what to make of it and says what is wrong: the
 * result is the same in every case, but that fields nobody wants are not looked at.
 */
export class SaSummaryReader {
  readonly #values = new NameTable(USUAL_VALUES);
  #children: ChildSaSummary[] = [];

  /** Throws MalformedError with the offset in the stream, which `offset` is the message's start in. */
  read(message: Uint8Array, offset = 0): IkeSaSummary {
    const bytes = asBuffer(message);
    this.#children = [];
    const uniqueId = this.#readIke(bytes);
    if (uniqueId >= 0 && !hasTwins(this.#children)) return { uniqueId, children: this.#children };
    return summarizeIkeSa(parseListedIkeSa(decodeMessage(bytes, offset)));
  }

  /** The one section of the message; the IKE_SA's unique id. */
  #readIke(bytes: Buffer): number {
    const end = bytes.length;
    if (bytes[0] !== SECTION_START) return UNUSUAL;
    let at = 2 + (bytes[1] ?? end);
    let uniqueId = NONE;
    let hasChildren = false;
    while (at < end) {
      const type = bytes[at];
      if (type === KEY_VALUE) {
        const nameAt = at + 2;
        const length = bytes[at + 1] ?? end;
        const valueAt = nameAt + length + 2;
        at = valueAt + (((bytes[valueAt - 2] ?? 0) << 8) | (bytes[valueAt - 1] ?? 0));
        if (at > end) return UNUSUAL;
        if (uniqueId === NONE && length === 8 && is('uniqueid', bytes, nameAt)) {
          uniqueId = readDigits(bytes, valueAt, at, 10, 10);
        }
      } else if (type === LIST_START) {
        at = skipList(bytes, at);
        if (at < 0) return UNUSUAL;
      } else if (type === SECTION_START) {
        if (hasChildren || bytes[at + 1] !== 9 || !is('child-sas', bytes, at + 2)) return UNUSUAL;
        hasChildren = true;
        at = this.#readChildren(bytes, at + 11);
        if (at < 0) return UNUSUAL;
      } else if (type === SECTION_END && at + 1 === end) return uniqueId;
      else return UNUSUAL;
    }
    return UNUSUAL;
  }

  /** Gives the position behind the section. */
  #readChildren(bytes: Buffer, start: number): number {
    let at = start;
    while (bytes[at] === SECTION_START) {
      at = this.#readChild(bytes, at + 2 + (bytes[at + 1] ?? bytes.length));
      if (at < 0) return UNUSUAL;
    }
    return bytes[at] === SECTION_END ? at + 1 : UNUSUAL;
  }

  /** Gives the position behind the section. */
  #readChild(bytes: Buffer, start: number): number {
    const end = bytes.length;
    let name: string | undefined;
    let state: string | undefined;
    let protocol: string | undefined;
    let encap: boolean | undefined;
    let uniqueId = NONE;
    let reqid = NONE;
    let spiIn = NONE;
    let spiOut = NONE;
    let at = start;
    while (at < end) {
      const type = bytes[at];
      if (type === KEY_VALUE) {
        const nameAt = at + 2;
        const length = bytes[at + 1] ?? end;
        const valueAt = nameAt + length + 2;
        at = valueAt + (((bytes[valueAt - 2] ?? 0) << 8) | (bytes[valueAt - 1] ?? 0));
        if (at > end) return UNUSUAL;
        if (length > LONGEST_NAME) continue;
        switch ((length << 8) | (bytes[nameAt] ?? 0)) {
          case NAME:
            if (name === undefined && is('name', bytes, nameAt)) name = this.#text(bytes, valueAt, at);
            break;
          case STATE:
            if (state === undefined && is('state', bytes, nameAt)) state = this.#text(bytes, valueAt, at);
            break;
          case PROTOCOL:
            if (protocol === undefined && is('protocol', bytes, nameAt)) {
              protocol = this.#text(bytes, valueAt, at);
            }
            break;
          case ENCAP:
            if (encap === undefined && is('encap', bytes, nameAt)) {
              encap = at === valueAt + 3 && is('yes', bytes, valueAt);
            }
            break;
          case REQID:
            if (reqid === NONE && is('reqid', bytes, nameAt)) reqid = readDigits(bytes, valueAt, at, 10, 10);
            break;
          case UNIQUEID:
            if (uniqueId === NONE && is('uniqueid', bytes, nameAt))
              uniqueId = readDigits(bytes, valueAt, at, 10, 10);
            break;
          case SPI_IN:
            if (spiIn === NONE && is('spi-in', bytes, nameAt)) spiIn = readDigits(bytes, valueAt, at, 16, 8);
            break;
          case SPI_OUT:
            if (spiOut === NONE && is('spi-out', bytes, nameAt))
              spiOut = readDigits(bytes, valueAt, at, 16, 8);
            break;
        }
      } else if (type === LIST_START) {
        at = skipList(bytes, at);
        if (at < 0) return UNUSUAL;
      } else if (type === SECTION_END) {
        // One that is not installed has no protocol, and goes the long way.
        if (name === undefined || state === undefined || protocol === undefined) return UNUSUAL;
        if (uniqueId < 0 || reqid < 0 || spiIn < 0 || spiOut < 0) return UNUSUAL;
        this.#children.push({ name, uniqueId, reqid, state, protocol, encap: encap ?? false, spiIn, spiOut });
        return at + 1;
      } else return UNUSUAL;
    }
    return UNUSUAL;
  }

  #text(bytes: Buffer, start: number, end: number): string {
    return this.#values.get(bytes, start, end, 'utf8');
  }
}

/** Gives the position behind a list that begins at `start`. */
function skipList(bytes: Buffer, start: number): number {
  const end = bytes.length;
  let at = start + 2 + (bytes[start + 1] ?? end);
  while (at < end && bytes[at] === LIST_ITEM) {
    at += 3 + (((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0));
  }
  return at < end && bytes[at] === LIST_END ? at + 1 : UNUSUAL;
}

function is(text: string, bytes: Buffer, at: number): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

function hasTwins(children: readonly ChildSaSummary[]): boolean {
  return children.length > 1 && new Set(children.map(({ uniqueId }) => uniqueId)).size < children.length;
}
