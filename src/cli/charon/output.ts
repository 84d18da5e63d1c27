import { formatRaw, type ViciSection } from '../../vici/index.ts';
import { print } from '../options.ts';
import { plainTable } from '../sad.ts';

/** Prints a stream of messages as `swanctl --raw` does, its reply last. */
export async function printRawStream(
  messages: AsyncGenerator<ViciSection, ViciSection, undefined>,
  { command, event }: { readonly command: string; readonly event: string },
): Promise<void> {
  for (;;) {
    const { value, done } = await messages.next();
    print(formatRaw(done === true ? `${command} reply` : `${event} event`, value));
    if (done === true) return;
  }
}

/** How a person sees items of one kind: lines of a table. */
export type TableOf<T> = {
  readonly head: readonly string[];
  readonly rows: (item: T) => readonly (readonly string[])[];
};

/** Prints items as one table, one JSON document, or a line of JSON each. */
export async function printItems<T>(
  items: AsyncIterable<T>,
  format: 'human' | 'json' | 'ndjson',
  table: TableOf<T>,
): Promise<void> {
  const all: T[] = [];
  for await (const item of items) {
    if (format === 'ndjson') print(jsonLine(item));
    else all.push(item);
  }
  if (format === 'json') print(jsonDocument(all));
  if (format === 'human' && all.length > 0) print(plainTable(table.head, all.flatMap(table.rows)));
}

/** On one line. Maps become lists of their values, counters and bytes become text. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value, toPlain);
}

export function jsonDocument(value: unknown): string {
  return JSON.stringify(value, toPlain, 2);
}

function toPlain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Map) return [...value.values()];
  return value;
}
