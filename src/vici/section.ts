import type { ViciValue } from './vici-value.ts';

/** One entry of a section, in the order of the message. Names may repeat. */
export type ViciElement =
  | { readonly kind: 'value'; readonly name: string; readonly value: ViciValue }
  | { readonly kind: 'list'; readonly name: string; readonly items: readonly ViciValue[] }
  | { readonly kind: 'section'; readonly name: string; readonly section: ViciSection };

/** A section as plain data, for printing: the last of two equal names wins. */
export type PlainSection = { readonly [name: string]: string | readonly string[] | PlainSection };

/**
 * A VICI message, or a section of one, as it came: nothing is merged, because two
 * IKE_SAs of one name are two sections of that name. Values are bytes, which charon
 * mostly fills with text; a lookup by name gives the first match.
 */
export class ViciSection {
  readonly elements: readonly ViciElement[];

  constructor(elements: readonly ViciElement[] = []) {
    this.elements = elements;
  }

  value(name: string): ViciValue | undefined {
    for (const element of this.elements) {
      if (element.name === name && element.kind === 'value') return element.value;
    }
    return undefined;
  }

  text(name: string): string | undefined {
    return this.value(name)?.text;
  }

  /** A view into the message. */
  bytes(name: string): Uint8Array | undefined {
    return this.value(name)?.bytes;
  }

  /** A list that is not there is empty. */
  list(name: string): readonly string[] {
    for (const element of this.elements) {
      if (element.name === name && element.kind === 'list') {
        return element.items.map(({ text }) => text);
      }
    }
    return [];
  }

  section(name: string): ViciSection | undefined {
    for (const element of this.elements) {
      if (element.name === name && element.kind === 'section') return element.section;
    }
    return undefined;
  }

  /** All sections with their names, equal names included. */
  *sections(): Generator<Extract<ViciElement, { kind: 'section' }>, void, undefined> {
    for (const element of this.elements) {
      if (element.kind === 'section') yield element;
    }
  }

  toJSON(): PlainSection {
    const plain: Record<string, PlainSection[string]> = {};
    for (const element of this.elements) {
      if (element.kind === 'value') plain[element.name] = element.value.text;
      else if (element.kind === 'list') plain[element.name] = element.items.map(({ text }) => text);
      else plain[element.name] = element.section.toJSON();
    }
    return plain;
  }
}
