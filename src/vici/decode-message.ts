import { InvariantError } from '../util/index.ts';
import { ElementCursor } from './element-cursor.ts';
import { type ViciElement, ViciSection } from './section.ts';
import type { ViciValue } from './vici-value.ts';

/**
 * Decodes a whole message into a tree whose values are places in it.
 *
 * Throws MalformedError with the offset in the stream.
 */
export function decodeMessage(message: Uint8Array, offset = 0): ViciSection {
  const cursor = new ElementCursor(message, offset);
  const outer: { readonly name: string; readonly elements: ViciElement[] }[] = [];
  let elements: ViciElement[] = [];
  let items: ViciValue[] = [];
  for (let kind = cursor.next(); kind !== undefined; kind = cursor.next()) {
    switch (kind) {
      case 'section-start':
        outer.push({ name: cursor.name(), elements });
        elements = [];
        break;
      case 'section-end': {
        const parent = outer.pop();
        if (parent === undefined) throw new InvariantError('the cursor let a section end that never began');
        parent.elements.push({ kind: 'section', name: parent.name, section: new ViciSection(elements) });
        elements = parent.elements;
        break;
      }
      case 'key-value':
        elements.push({ kind: 'value', name: cursor.name(), value: cursor.value() });
        break;
      case 'list-start':
        items = [];
        elements.push({ kind: 'list', name: cursor.name(), items });
        break;
      case 'list-item':
        items.push(cursor.value());
        break;
      case 'list-end':
        break;
    }
  }
  return new ViciSection(elements);
}
