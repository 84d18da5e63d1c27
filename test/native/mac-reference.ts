import { createCipheriv, createHmac } from 'node:crypto';

/** The integrity algorithms written a second time, over node:crypto's HMAC and AES-ECB. */

const BLOCK = 16;
const zero = Buffer.alloc(BLOCK);

function aes(key: Buffer, block: Buffer): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));
}

/** CBC-MAC whose last block, padded with 10* if it is not whole, is masked with one of two keys. */
function maskedCbcMac(
  key: Buffer,
  masks: { readonly whole: Buffer; readonly padded: Buffer },
  message: Buffer,
): Buffer {
  const blocks = Math.max(1, Math.ceil(message.length / BLOCK));
  let state: Buffer = zero;
  for (let i = 0; i < blocks - 1; i += 1)
    state = aes(key, xor(state, message.subarray(i * BLOCK, (i + 1) * BLOCK)));
  const rest = message.subarray((blocks - 1) * BLOCK);
  const last =
    rest.length === BLOCK
      ? xor(rest, masks.whole)
      : xor(Buffer.concat([rest, Buffer.of(0x80), zero]).subarray(0, BLOCK), masks.padded);
  return aes(key, xor(state, last));
}

/** RFC 3566 */
function xcbc(key: Buffer, message: Buffer): Buffer {
  const [k1, whole, padded] = [1, 2, 3].map((n) => aes(key, Buffer.alloc(BLOCK, n)));
  return maskedCbcMac(k1 ?? zero, { whole: whole ?? zero, padded: padded ?? zero }, message);
}

/** NIST SP 800-38B's doubling in GF(2^128). */
function double(block: Buffer): Buffer {
  const value = BigInt(`0x${block.toString('hex')}`) << 1n;
  const reduced = value >> 128n === 0n ? value : (value ^ 0x87n) & (2n ** 128n - 1n);
  return Buffer.from(reduced.toString(16).padStart(32, '0'), 'hex');
}

/** RFC 4493 */
function cmac(key: Buffer, message: Buffer): Buffer {
  const whole = double(aes(key, zero));
  return maskedCbcMac(key, { whole, padded: double(whole) }, message);
}

const hmac =
  (digest: string) =>
  (key: Buffer, message: Buffer): Buffer =>
    createHmac(digest, key).update(message).digest();

const algorithms: Readonly<
  Record<number, readonly [icvBytes: number, mac: (key: Buffer, message: Buffer) => Buffer]>
> = {
  2: [12, hmac('sha1')],
  5: [12, xcbc],
  8: [12, cmac],
  12: [16, hmac('sha256')],
  13: [24, hmac('sha384')],
  14: [32, hmac('sha512')],
};

/** The ICV of an integrity algorithm of ESP, by its IANA number. */
export function icvReference(id: number, key: Buffer, message: Buffer): Buffer {
  const algorithm = algorithms[id];
  if (algorithm === undefined) throw new Error(`no reference for integrity algorithm ${id}`);
  return algorithm[1](key, message).subarray(0, algorithm[0]);
}
