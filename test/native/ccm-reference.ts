import { createCipheriv } from 'node:crypto';

/** CCM (NIST SP 800-38C) written a second time over AES-ECB, as there are few vectors with nonces of ESP. */

const BLOCK = 16;

function aes(key: Buffer, block: Buffer): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

/** Flags, nonce, and a number in what is left. */
function block(flags: number, nonce: Buffer, value: number): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(value));
  return Buffer.concat([Buffer.of(flags), nonce, number.subarray(8 - (15 - nonce.length))]);
}

/** Ciphertext and tag; additional data of less than 0xff00 bytes. */
export function ccmReference(
  key: Buffer,
  nonce: Buffer,
  { aad, text, tagBytes }: { readonly aad: Buffer; readonly text: Buffer; readonly tagBytes: number },
): Buffer {
  const lengthFlags = 15 - nonce.length - 1;
  const flags = (aad.length > 0 ? 0x40 : 0) | (((tagBytes - 2) / 2) << 3) | lengthFlags;
  const length = Buffer.of(aad.length >> 8, aad.length & 0xff);
  const message = Buffer.concat([
    block(flags, nonce, text.length),
    ...(aad.length > 0 ? [padded(Buffer.concat([length, aad]))] : []),
    padded(text),
  ]);
  let mac: Buffer = Buffer.alloc(BLOCK);
  for (let at = 0; at < message.length; at += BLOCK)
    mac = aes(key, xor(message.subarray(at, at + BLOCK), mac));
  const stream = (counter: number): Buffer => aes(key, block(lengthFlags, nonce, counter));
  const encrypted = Array.from({ length: Math.ceil(text.length / BLOCK) }, (_, i) =>
    xor(text.subarray(i * BLOCK, (i + 1) * BLOCK), stream(i + 1)),
  );
  return Buffer.concat([...encrypted, xor(mac, stream(0)).subarray(0, tagBytes)]);
}
