import type { ServerWritableStream } from '@grpc/grpc-js';

/** Few enough that a chunk stays far below gRPC's 4 MiB and other work gets its turn. */
const CHUNK = 256;

type Chunked<Item> = { readonly items: Item[]; readonly isComplete: boolean };

/** Reads one item of a listing; undefined if it was removed since the listing was begun. */
export type Reading<Item> = () => Item | undefined;

/** Slices of what is left of a list whose items may have gone meanwhile; at least one, the last is marked. */
function* chunks<Item>(readings: readonly Reading<Item>[]): Generator<Chunked<Item>, void, undefined> {
  let from = 0;
  do {
    const items = readings
      .slice(from, from + CHUNK)
      .map((read) => read())
      .filter((item) => item !== undefined);
    from += CHUNK;
    yield { items, isComplete: from >= readings.length };
  } while (from < readings.length);
}

/**
 * Writes a listing in chunks, at the reader's pace and with a turn for everybody else in between. The
 * set is that of the moment it was taken; items that vanish while it is written are left out.
 */
export async function writeListing<Request, Response, Item>(
  call: ServerWritableStream<Request, Response>,
  readings: readonly Reading<Item>[],
  toResponse: (items: Item[], isComplete: boolean) => Response,
): Promise<void> {
  for (const { items, isComplete } of chunks(readings)) {
    if (call.cancelled) return;
    const hasRoom = call.write(toResponse(items, isComplete));
    if (isComplete) break;
    if (!hasRoom) await drained(call);
    await new Promise((resolve) => setImmediate(resolve));
  }
  call.end();
}

/** Resolves when there is room again, or nobody reads any more. */
function drained<Request, Response>(call: ServerWritableStream<Request, Response>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'cancelled', 'close']) call.removeListener(event, done);
      resolve();
    };
    for (const event of ['drain', 'cancelled', 'close']) call.once(event, done);
  });
}
