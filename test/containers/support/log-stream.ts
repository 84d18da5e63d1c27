/** Docker's log format: before each piece a stream number in 4 bytes, and its length in 4. */
const HEADER_BYTES = 8;
const LENGTH_OFFSET = 4;

/** The text of a container's log, both streams in the order they were written. */
export function withoutHeaders(bytes: Uint8Array): string {
  const log = Buffer.from(bytes);
  const pieces: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= log.length; ) {
    const end = at + HEADER_BYTES + log.readUInt32BE(at + LENGTH_OFFSET);
    pieces.push(log.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  return Buffer.concat(pieces).toString();
}
