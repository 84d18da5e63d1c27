import type { ViciElement, ViciSection } from './section.ts';

/**
 * A message on one line, as `swanctl --raw` prints it: `label {key=value list=[a b] section {}}`.
 * What is not printable ASCII is printed in hexadecimal.
 */
export function formatRaw(label: string, message: ViciSection): string {
  return `${label} {${formatElements(message.elements)}}`;
}

function formatElements(elements: readonly ViciElement[]): string {
  return elements.map(formatElement).join(' ');
}

function formatElement(element: ViciElement): string {
  switch (element.kind) {
    case 'value':
      return `${element.name}=${formatValue(element.value.bytes)}`;
    case 'list':
      return `${element.name}=[${element.items.map(({ bytes }) => formatValue(bytes)).join(' ')}]`;
    case 'section':
      return `${element.name} {${formatElements(element.section.elements)}}`;
  }
}

function formatValue(bytes: Uint8Array): string {
  const isPrintable = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isPrintable ? Buffer.from(bytes).toString('latin1') : `0x${Buffer.from(bytes).toString('hex')}`;
}
