import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allAlgorithms,
  checkTransforms,
  encryptionAlgorithm,
  formatAlgorithms,
} from '../../src/sad/index.ts';
import { SecretBytes } from '../../src/util/index.ts';
import { sampleSa } from '../support/sample-sas.ts';

const key = (lengthBytes: number): SecretBytes => new SecretBytes(new Uint8Array(lengthBytes));

function sa(
  encryption: { id: number; lengthBytes: number } | undefined,
  integrity?: { id: number; lengthBytes: number },
  protocol: 'esp' | 'ah' = 'esp',
) {
  const sample = sampleSa({ direction: 'inbound', spi: 0x1001 });
  return {
    ...sample,
    id: { ...sample.id, protocol },
    encryption: encryption && { id: encryption.id, key: key(encryption.lengthBytes) },
    integrity: integrity && { id: integrity.id, key: key(integrity.lengthBytes) },
  };
}

test('no IANA number and no name is there twice', () => {
  for (const algorithms of Object.values(allAlgorithms())) {
    assert.equal(new Set(algorithms.map(({ id }) => id)).size, algorithms.length);
    assert.equal(new Set(algorithms.map(({ charonName }) => charonName)).size, algorithms.length);
  }
});

// Lengths as charon 5.9.8 was seen to hand them out: key, then salt.
for (const [name, encryption, integrity] of [
  ['AES_GCM_16-128', [20, 20], undefined],
  ['AES_GCM_16-256', [20, 36], undefined],
  ['CHACHA20_POLY1305', [28, 36], undefined],
  ['AES_CCM_16-128', [16, 19], undefined],
  ['AES_CTR-256/HMAC_SHA1_96', [13, 36], [2, 20]],
  ['NULL_AES_GMAC-128', [21, 20], undefined],
  ['AES_CBC-128/HMAC_SHA2_256_128', [12, 16], [12, 32]],
  ['AES_CBC-256/HMAC_SHA2_512_256', [12, 32], [14, 64]],
  ['NULL/HMAC_SHA2_256_128', [11, 0], [12, 32]],
] as const) {
  test(`takes ${name} with keys of charon's lengths, and no other length`, () => {
    const [id, lengthBytes] = encryption;
    const second = integrity === undefined ? undefined : { id: integrity[0], lengthBytes: integrity[1] };
    const right = sa({ id, lengthBytes }, second);
    assert.equal(checkTransforms(right), undefined);
    assert.equal(formatAlgorithms(right), name);
    assert.equal(checkTransforms(sa({ id, lengthBytes: lengthBytes + 1 }, second))?.code, 'invalid');
    if (second !== undefined) {
      const wrong = { ...second, lengthBytes: second.lengthBytes - 1 };
      assert.equal(checkTransforms(sa({ id, lengthBytes }, wrong))?.code, 'invalid');
    }
  });
}

test('takes AH with integrity alone', () => {
  assert.equal(checkTransforms(sa(undefined, { id: 12, lengthBytes: 32 }, 'ah')), undefined);
  assert.equal(
    checkTransforms(sa({ id: 11, lengthBytes: 0 }, { id: 12, lengthBytes: 32 }, 'ah'))?.code,
    'invalid',
  );
  assert.equal(checkTransforms(sa(undefined, undefined, 'ah'))?.code, 'invalid');
});

test('refuses what is no ESP SA: no encryption, an AEAD with integrity, an unknown number', () => {
  assert.equal(checkTransforms(sa(undefined, { id: 12, lengthBytes: 32 }))?.code, 'invalid');
  assert.equal(
    checkTransforms(sa({ id: 20, lengthBytes: 20 }, { id: 12, lengthBytes: 32 }))?.code,
    'invalid',
  );
  assert.deepEqual(checkTransforms(sa({ id: 1027, lengthBytes: 16 })), {
    code: 'unsupported-algorithm',
    reason: 'inbound SA 00001001: encryption algorithm 1027 is not known',
  });
  assert.equal(encryptionAlgorithm(20)?.name, 'ENCR_AES_GCM_16');
});
