import { AgentError } from '../util/index.ts';
import { type ViciElement, ViciSection } from './section.ts';
import { ViciValue } from './vici-value.ts';
import { ELEMENT_TYPE, NAME_LIMIT_BYTES, NESTING_LIMIT, VALUE_LIMIT_BYTES } from './wire.ts';

/** A value to send. Booleans become `yes` and `no`. */
export type ViciScalar = string | number | bigint | boolean | Uint8Array;

/** The arguments of a command as plain data; what is undefined is left out. */
export type ViciArguments = {
  readonly [name: string]: ViciScalar | readonly ViciScalar[] | ViciArguments | undefined;
};

/**
 * Encodes arguments, or a section as it was decoded.
 *
 * Throws AgentError `invalid-input` for a name or value that is too long.
 */
export function encodeMessage(content: ViciArguments | ViciSection): Uint8Array {
  const elements = content instanceof ViciSection ? content.elements : toElements(content);
  const parts: Uint8Array[] = [];
  encodeElements(elements, parts, 0);
  return Buffer.concat(parts);
}

function toElements(content: ViciArguments): readonly ViciElement[] {
  const elements: ViciElement[] = [];
  for (const [name, value] of Object.entries(content)) {
    if (value === undefined) continue;
    if (isList(value)) elements.push({ kind: 'list', name, items: value.map(toValue) });
    else if (isArguments(value))
      elements.push({ kind: 'section', name, section: new ViciSection(toElements(value)) });
    else elements.push({ kind: 'value', name, value: toValue(value) });
  }
  return elements;
}

function isList(value: NonNullable<ViciArguments[string]>): value is readonly ViciScalar[] {
  return Array.isArray(value);
}

function isArguments(value: ViciScalar | ViciArguments): value is ViciArguments {
  return typeof value === 'object' && !(value instanceof Uint8Array);
}

function toValue(value: ViciScalar): ViciValue {
  if (value instanceof Uint8Array) return ViciValue.of(value);
  if (typeof value === 'boolean') return ViciValue.of(Buffer.from(value ? 'yes' : 'no'));
  return ViciValue.of(Buffer.from(String(value)));
}

function encodeElements(elements: readonly ViciElement[], parts: Uint8Array[], depth: number): void {
  if (depth > NESTING_LIMIT) throw invalid(`more than ${NESTING_LIMIT} nested sections`);
  for (const element of elements) {
    switch (element.kind) {
      case 'value':
        parts.push(head('key-value', element.name), encodeValue(element.name, element.value.bytes));
        break;
      case 'list':
        parts.push(head('list-start', element.name));
        for (const item of element.items) {
          parts.push(Uint8Array.of(ELEMENT_TYPE['list-item']), encodeValue(element.name, item.bytes));
        }
        parts.push(Uint8Array.of(ELEMENT_TYPE['list-end']));
        break;
      case 'section':
        parts.push(head('section-start', element.name));
        encodeElements(element.section.elements, parts, depth + 1);
        parts.push(Uint8Array.of(ELEMENT_TYPE['section-end']));
        break;
    }
  }
}

function head(kind: 'key-value' | 'list-start' | 'section-start', name: string): Uint8Array {
  const nameBytes = Buffer.from(name, 'latin1');
  if (nameBytes.length > NAME_LIMIT_BYTES)
    throw invalid(`the name "${name}" is longer than ${NAME_LIMIT_BYTES} bytes`);
  return Buffer.concat([Uint8Array.of(ELEMENT_TYPE[kind], nameBytes.length), nameBytes]);
}

function encodeValue(name: string, value: Uint8Array): Uint8Array {
  if (value.length > VALUE_LIMIT_BYTES) {
    throw invalid(`the value of "${name}" has ${value.length} bytes, ${VALUE_LIMIT_BYTES} fit`);
  }
  return Buffer.concat([Uint8Array.of(value.length >> 8, value.length & 0xff), value]);
}

function invalid(problem: string): AgentError {
  return new AgentError(`VICI message: ${problem}`, { code: 'invalid-input' });
}
