/**
 * Every way in which a key could stand in a log, a dump or a page: raw, hexadecimal with and without
 * separators, as a list of decimal bytes, and base64 at each of its three alignments.
 */
export function keyForms(key: Uint8Array): readonly Buffer[] {
  const bytes = [...key];
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
  const texts = [
    ...['', ' ', ':'].flatMap((separator) => [hex.join(separator), hex.join(separator).toUpperCase()]),
    ...[',', ', '].map((separator) => bytes.join(separator)),
    ...[0, 1, 2].flatMap((offset) => base64Forms(key, offset)),
  ];
  return [Buffer.from(key), ...texts.map((text) => Buffer.from(text))];
}

/** The characters that depend on the key alone when it begins at byte `offset` of a group of three. */
function base64Forms(key: Uint8Array, offset: number): readonly string[] {
  const padded = Buffer.concat([Buffer.alloc(offset), key]);
  const first = Math.ceil((offset * 8) / 6);
  const last = Math.floor((padded.length * 8) / 6);
  return (['base64', 'base64url'] as const).map((encoding) => padded.toString(encoding).slice(first, last));
}
