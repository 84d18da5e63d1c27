import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { inRepository } from '../support/index.ts';

const hex = z
  .string()
  .regex(/^([0-9a-f]{2})*$/)
  .transform((text) => Buffer.from(text, 'hex'));
const id = z.int().min(0);

/** A whole ESP packet: `sealed` is what became of the text, ICV included. */
const packet = z.strictObject({
  encryption: id,
  encryptionKey: hex,
  spi: hex,
  /** All 64 bits. */
  sequence: hex,
  esn: z.boolean(),
  iv: hex,
  text: hex,
  sealed: hex,
});

/** A cipher alone. */
const cipher = z.strictObject({ encryption: id, encryptionKey: hex, iv: hex, text: hex, ciphertext: hex });

/** An AEAD with any additional data. */
const aead = z.strictObject({
  encryption: id,
  encryptionKey: hex,
  iv: hex,
  aad: hex,
  text: hex,
  sealed: hex,
});

/** A MAC alone, of any message. */
const mac = z.strictObject({ integrity: id, integrityKey: hex, message: hex, icv: hex });

/** CCM with nonces of 13 bytes, which ESP does not have. */
const ccm = z.strictObject({ key: hex, nonce: hex, tagBytes: z.int(), aad: hex, text: hex, sealed: hex });

export type Group<Vector> = { readonly source: string; readonly vectors: readonly Vector[] };

/** Published test vectors, by where they were published. */
function load<Vector>(file: string, vector: z.ZodType<Vector>): readonly Group<Vector>[] {
  const groups = z.array(z.strictObject({ source: z.string(), vectors: z.array(vector).min(1) })).min(1);
  return groups.parse(JSON.parse(readFileSync(inRepository('test', 'fixtures', 'transforms', file), 'utf8')));
}

export const packetVectors = load('packets.json', packet);
export const cipherVectors = load('ciphers.json', cipher);
export const aeadVectors = load('aeads.json', aead);
export const macVectors = load('macs.json', mac);
export const ccmVectors = load('ccm-reference.json', ccm);
