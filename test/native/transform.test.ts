import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { everySuite } from '../dataplane/samples.ts';
import { ccmReference } from './ccm-reference.ts';
import { icvReference } from './mac-reference.ts';
import { SanitizedTool } from './sanitized-tool.ts';
import { aeadVectors, ccmVectors, cipherVectors, macVectors, packetVectors } from './transform-vectors.ts';

const none = Buffer.alloc(0);

function number(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

type Keys = {
  readonly encryption: number;
  readonly encryptionKey: Buffer;
  readonly integrity?: number;
  readonly integrityKey?: Buffer;
};

/** A request to transform-tool.c. */
type Request = readonly Buffer[];

function packet(
  operation: 'seal' | 'open',
  { encryption, encryptionKey, integrity = 0, integrityKey = none }: Keys,
  { sequence, esn, bytes }: { readonly sequence: bigint; readonly esn: boolean; readonly bytes: Buffer },
): Request {
  return [
    ...[Buffer.from(operation), number(encryption), encryptionKey, number(integrity), integrityKey],
    ...[number(sequence), number(esn ? 1 : 0), bytes],
  ];
}

function aead(
  operation: 'encrypt' | 'decrypt',
  { encryption, encryptionKey }: Keys,
  { iv, aad, bytes }: { readonly iv: Buffer; readonly aad: Buffer; readonly bytes: Buffer },
): Request {
  return [Buffer.from(operation), number(encryption), encryptionKey, iv, aad, bytes];
}

type Message = {
  readonly integrity: number;
  readonly integrityKey: Buffer;
  readonly sequence?: bigint;
  readonly esn?: boolean;
  readonly message: Buffer;
  readonly pieceBytes?: number;
};

function icv(
  { integrity, integrityKey, sequence = 1n, esn = false, ...rest }: Message,
  given?: Buffer,
): Request {
  const { message, pieceBytes = 1 << 20 } = rest;
  return [
    ...[Buffer.from(given === undefined ? 'icv' : 'check'), number(integrity), integrityKey],
    ...[number(sequence), number(esn ? 1 : 0), ...(given === undefined ? [] : [given])],
    ...[number(pieceBytes), message],
  ];
}

/** With one bit, at a place of 0 to 1, another way. */
function flipped(bytes: Buffer, place: number): Buffer {
  const copy = Buffer.from(bytes);
  const bit = Math.min(Math.floor(place * copy.length * 8), copy.length * 8 - 1);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

const PLACES = [0, 0.3, 0.7, 1];

describe('the native transforms, under the sanitizers', () => {
  let tool: SanitizedTool;
  before(() => {
    tool = new SanitizedTool('transform-tool', ['transform.c', 'transform-aead.c', 'transform-mac.c']);
  });

  /** Asks all at once. */
  const expectAnswers = (expected: readonly (readonly [Request, Buffer])[]): void => {
    const answers = tool.run(
      [],
      expected.flatMap(([request]) => request),
    );
    assert.deepEqual(
      answers,
      expected.map(([, answer]) => answer),
    );
  };

  for (const { source, vectors } of packetVectors) {
    it(`seal and open packets as published: ${source}`, () => {
      const expected = vectors.flatMap(({ spi, sequence, esn, iv, text, sealed, ...keys }) => {
        const start = Buffer.concat([spi, sequence.subarray(4), iv]);
        const [plain, whole] = [Buffer.concat([start, text]), Buffer.concat([start, sealed])];
        const number = { sequence: sequence.readBigUInt64BE(), esn };
        const otherHigh = { ...number, sequence: number.sequence ^ (1n << 40n) };
        return [
          [packet('seal', keys, { ...number, bytes: plain }), whole],
          [packet('open', keys, { ...number, bytes: whole }), plain],
          // Only with ESN is the high half part of the packet.
          [packet('open', keys, { ...otherHigh, bytes: whole }), esn ? none : plain],
          ...PLACES.map(
            (place) => [packet('open', keys, { ...number, bytes: flipped(whole, place) }), none] as const,
          ),
        ] as const;
      });
      expectAnswers(expected);
    });
  }

  for (const { source, vectors } of aeadVectors) {
    it(`encrypt and decrypt as published: ${source}`, () => {
      const expected = vectors.flatMap(({ text, sealed, ...rest }) => [
        [aead('encrypt', rest, { ...rest, bytes: text }), sealed] as const,
        [aead('decrypt', rest, { ...rest, bytes: sealed }), Buffer.concat([Buffer.of(1), text])] as const,
        ...PLACES.map(
          (place) => [aead('decrypt', rest, { ...rest, bytes: flipped(sealed, place) }), none] as const,
        ),
      ]);
      expectAnswers(expected);
    });
  }

  for (const { source, vectors } of cipherVectors) {
    it(`encrypt and decrypt as published: ${source}`, () => {
      const mac = { integrity: 12, integrityKey: randomBytes(32) };
      const number = { sequence: 1n, esn: false };
      const expected = vectors.flatMap(({ iv, text, ciphertext, ...cipher }) => {
        const start = Buffer.concat([Buffer.from('0000432100000001', 'hex'), iv]);
        const [plain, encrypted] = [Buffer.concat([start, text]), Buffer.concat([start, ciphertext])];
        const whole = Buffer.concat([encrypted, icvReference(mac.integrity, mac.integrityKey, encrypted)]);
        const keys = { ...cipher, ...mac };
        return [
          [packet('seal', keys, { ...number, bytes: plain }), whole],
          [packet('open', keys, { ...number, bytes: whole }), plain],
        ] as const;
      });
      expectAnswers(expected);
    });
  }

  for (const { source, vectors } of macVectors) {
    it(`give the ICV as published, of a message in pieces too: ${source}`, () => {
      const high = Buffer.from('00000007', 'hex');
      const expected = vectors.flatMap(({ icv: right, ...vector }) => {
        // GMAC's IV is the sequence number, and its ICV begins with it.
        const isGmac = right.length === 24 && vector.integrity <= 11;
        const sequence = isGmac ? right.readBigUInt64BE() : 1n;
        const message = { ...vector, sequence };
        const extended = Buffer.concat([vector.message, high]);
        return [
          ...[1, 7, 16, 17, 33, 1 << 20].map(
            (pieceBytes) => [icv({ ...message, pieceBytes }), right] as const,
          ),
          [icv(message, right), right] as const,
          ...PLACES.map((place) => [icv(message, flipped(right, place)), none] as const),
          // The high half of an extended sequence number comes behind the message.
          ...(isGmac
            ? []
            : [
                [
                  icv({ ...message, sequence: 7n << 32n, esn: true }),
                  icvReference(vector.integrity, vector.integrityKey, extended),
                ] as const,
              ]),
        ];
      });
      expectAnswers(expected);
    });
  }

  it('do CCM with shorter ICVs as a second implementation that gives what NIST published', () => {
    for (const { vectors } of ccmVectors) {
      for (const { key, nonce, sealed, ...rest } of vectors)
        assert.deepEqual(ccmReference(key, nonce, rest), sealed);
    }
    const lengths = [
      [4, 8],
      [16, 12],
      [100, 8],
      [1420, 12],
    ] as const;
    const expected = everySuite.flatMap(({ encryption, encryptionKeyBytes }) => {
      const tagBytes = { 14: 8, 15: 12, 16: 16 }[encryption];
      if (tagBytes === undefined) return [];
      return lengths.map(([textBytes, aadBytes]) => {
        const [encryptionKey, iv] = [randomBytes(encryptionKeyBytes), randomBytes(8)];
        const [text, aad] = [randomBytes(textBytes), randomBytes(aadBytes)];
        const nonce = Buffer.concat([encryptionKey.subarray(-3), iv]);
        return [
          aead('encrypt', { encryption, encryptionKey }, { iv, aad, bytes: text }),
          ccmReference(encryptionKey.subarray(0, -3), nonce, { aad, text, tagBytes }),
        ] as const;
      });
    });
    assert.equal(expected.length, 9 * lengths.length);
    expectAnswers(expected);
  });

  it('do not take CCM without any text for verified', () => {
    const keys = { encryption: 16, encryptionKey: randomBytes(19) };
    const part = { iv: randomBytes(8), aad: randomBytes(8) };
    expectAnswers([
      [aead('encrypt', keys, { ...part, bytes: none }), none],
      [aead('decrypt', keys, { ...part, bytes: randomBytes(16) }), none],
    ]);
  });

  it('cover every algorithm and key length with published vectors, CCM-8 and CCM-12 apart', () => {
    const covered = new Set(
      [packetVectors, aeadVectors, cipherVectors]
        .flat()
        .flatMap(({ vectors }) => vectors.map((v) => `${v.encryption} ${v.encryptionKey.length}`)),
    );
    const macs = new Set(macVectors.flatMap(({ vectors }) => vectors.map((v) => v.integrity)));
    const missing = everySuite.filter(
      ({ encryption, encryptionKeyBytes, integrity }) =>
        !covered.has(`${encryption} ${encryptionKeyBytes}`) || (integrity > 0 && !macs.has(integrity)),
    );
    assert.deepEqual(
      missing.map(({ name }) => name).filter((name) => !/CCM-(8|12)/.test(name)),
      ['NULL-AES-GMAC-192', 'NULL-AES-GMAC-256'],
    );
    // As AH's, with which they share all but the place of the IV.
    for (const gmac of [9, 10, 11]) assert.ok(macs.has(gmac));
  });
});
