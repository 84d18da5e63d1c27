import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Algorithms } from '../../src/dataplane/algorithms.ts';
import { Protocol, ResultCode } from '../../src/proto/index.ts';
import { allAlgorithms } from '../../src/sad/index.ts';
import { Refusal } from '../../src/server/index.ts';
import { engineLab } from '../native/engine-lab.ts';
import { everySuite } from './samples.ts';

const { ESP, AH } = { ESP: Protocol.PROTOCOL_ESP, AH: Protocol.PROTOCOL_AH };

function refusalOf(action: () => void): Refusal {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Refusal);
    return error;
  }
  assert.fail('it was not refused');
}

describe('the algorithms', () => {
  const { engine } = engineLab();
  const algorithms = new Algorithms(engine);

  it('have the names and lengths the agent knows them by', () => {
    const known = allAlgorithms();
    for (const { id, name, keyBits, saltBytes, ivBytes, icvBytes } of algorithms.encryption) {
      const { charonName: _, ...theirs } = known.encryption.find((one) => one.id === id) ?? assert.fail(name);
      assert.deepEqual({ id, name, keyBits, saltBytes, ivBytes, icvBytes }, theirs);
    }
    for (const { id, name, keyBits, saltBytes, icvBytes } of algorithms.integrity) {
      const { charonName: _, ...theirs } = known.integrity.find((one) => one.id === id) ?? assert.fail(name);
      assert.deepEqual({ id, name, keyBits, saltBytes, icvBytes }, theirs);
    }
  });

  it('are offered in every key length the native transforms take, and in no other', () => {
    const lengths = Array.from({ length: 65 }, (_, bytes) => bytes);
    for (const { id, keyBits, saltBytes, icvBytes } of algorithms.encryption) {
      const [mac, macBytes] = icvBytes > 0 ? [0, 0] : [12, 32];
      assert.deepEqual(
        lengths.filter((bytes) => engine.supports(id, bytes, mac, macBytes)),
        keyBits.map((bits) => bits / 8 + saltBytes),
      );
    }
    for (const { id, keyBits, saltBytes } of algorithms.integrity) {
      assert.deepEqual(
        lengths.filter((bytes) => engine.supports(0, 0, id, bytes)),
        keyBits.map((bits) => bits / 8 + saltBytes),
      );
    }
  });

  it('are all there in the OpenSSL of Node', () => {
    for (const suite of everySuite) algorithms.check({ ...suite, protocol: ESP });
    const everyIntegrity = [...algorithms.integrity].map(({ id }) => id);
    assert.deepEqual(everyIntegrity, [2, 5, 8, 9, 10, 11, 12, 13, 14]);
  });

  it('encrypt only with integrity, and an AEAD brings its own', () => {
    for (const { id, icvBytes } of algorithms.encryption) {
      const bytes = everySuite.find(({ encryption }) => encryption === id)?.encryptionKeyBytes ?? 0;
      assert.equal(engine.supports(id, bytes, 0, 0), icvBytes > 0);
      assert.equal(engine.supports(id, bytes, 12, 32), icvBytes === 0);
      const check = (integrity: number, integrityKeyBytes: number) => (): void =>
        algorithms.check({
          protocol: ESP,
          encryption: id,
          encryptionKeyBytes: bytes,
          integrity,
          integrityKeyBytes,
        });
      if (icvBytes > 0) assert.match(refusalOf(check(12, 32)).message, /is an AEAD/);
      else assert.match(refusalOf(check(0, 0)).message, /without integrity/);
      // GMAC's IV has its place in AH only.
      assert.equal(engine.supports(id, bytes, 9, 20), false);
    }
  });

  it('of AH are those with an integrity algorithm alone', () => {
    for (const { id, keyBits, saltBytes } of algorithms.integrity) {
      const integrityKeyBytes = (keyBits[0] ?? 0) / 8 + saltBytes;
      const choice = { protocol: AH, encryption: 0, encryptionKeyBytes: 0, integrity: id, integrityKeyBytes };
      algorithms.check(choice);
      assert.equal(
        refusalOf(() => algorithms.check({ ...choice, encryption: 11 })).result,
        ResultCode.RESULT_CODE_INVALID,
      );
    }
  });

  it('that OpenSSL lacks are not offered, and are refused with that reason', () => {
    const lean = new Algorithms({
      supports: (encryption, ...rest) => encryption !== 3 && engine.supports(encryption, ...rest),
    });
    assert.equal(lean.encryption.length, algorithms.encryption.length - 1);
    const choice = { protocol: ESP, encryptionKeyBytes: 24, integrity: 12, integrityKeyBytes: 32 };
    const { result, message } = refusalOf(() => lean.check({ ...choice, encryption: 3 }));
    assert.equal(result, ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM);
    assert.match(message, /^ENCR_3DES is not in the OpenSSL \d+\.\d+\.\d+/);
  });
});
