import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EspResult, type NativeSa, SaWord } from '../../src/dataplane/native.ts';
import { gcm128 } from '../dataplane/samples.ts';
import { tries } from '../support/tries.ts';
import { engineLab, INNER_LEFT, INNER_RIGHT, nativeSa } from './engine-lab.ts';
import { ipv4, sealReference, withTrailer } from './esp-reference.ts';

const inner = ipv4({ source: INNER_LEFT, destination: INNER_RIGHT, protocol: 253, payload: Buffer.alloc(4) });

/** An inbound SA that is given sequence numbers and says which it takes. */
class Window {
  readonly #engine = engineLab().engine;
  readonly #sa: NativeSa;
  readonly handle: number;

  constructor(replayWindow: number, state: Partial<NativeSa> = {}) {
    this.#sa = nativeSa(gcm128, { isInbound: true, replayWindow, ...state });
    this.handle = this.#engine.addSa(this.#sa);
  }

  offer(sequence: number | bigint, isForged = false): boolean {
    const iv = Buffer.alloc(8);
    iv.writeBigUInt64BE(BigInt(sequence));
    const keys = { encryptionKey: Buffer.from(this.#sa.encryptionKey), integrityKey: Buffer.alloc(0) };
    const esp = sealReference({ ...this.#sa, ...keys }, { sequence, iv, text: withTrailer(inner, 4) });
    if (isForged) esp[esp.length - 1] = (esp[esp.length - 1] ?? 0) ^ 1;
    const { source, destination } = this.#sa;
    const result = this.#engine.decapsulate(ipv4({ source, destination, protocol: 50, payload: esp }));
    if (Buffer.isBuffer(result)) return true;
    // What is taken for a number of another subspace does not verify.
    const expected = isForged ? [EspResult.integrity, EspResult.replayed] : [EspResult.replayed];
    assert.ok(expected.some((one) => one === result) || (this.#sa.isEsn && result === EspResult.integrity));
    return false;
  }

  state(): { highest: bigint; bitmap: Buffer } {
    const words = new BigUint64Array(SaWord.count);
    this.#engine.readSa(this.handle, words);
    return { highest: words[SaWord.highestSequence] ?? 0n, bitmap: this.#engine.readReplay(this.handle) };
  }

  drops(): { replayed: bigint; forged: bigint } {
    const words = new BigUint64Array(SaWord.count);
    this.#engine.readSa(this.handle, words);
    return {
      replayed: words[SaWord.replayDrops] ?? 0n,
      forged: words[SaWord.integrityFailures] ?? 0n,
    };
  }
}

/** The window as RFC 4303, 3.4.3 puts it: a set. */
class Model {
  readonly #window: number;
  readonly #seen = new Set<bigint>();
  highest: bigint;

  constructor(window: number, highest = 0n) {
    this.#window = window;
    this.highest = highest;
  }

  offer(sequence: bigint): boolean {
    if (sequence === 0n || sequence <= this.highest - BigInt(this.#window) || this.#seen.has(sequence))
      return false;
    this.#seen.add(sequence);
    if (sequence > this.highest) this.highest = sequence;
    return true;
  }

  bitmap(): Buffer {
    const bytes = Buffer.alloc(Math.ceil(this.#window / 8));
    for (let i = 0; i < this.#window; i += 1) {
      if (this.#seen.has(this.highest - BigInt(i))) bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (1 << (i & 7));
    }
    return bytes;
  }
}

function clamp(value: bigint, least: bigint, most: bigint): bigint {
  return value < least ? least : value > most ? most : value;
}

describe('the anti-replay window', () => {
  it('behaves like a set, for any window size and order', () => {
    const sizes = fc.constantFrom(1, 7, 32, 63, 64, 65, 128, 1000, 4096);
    const steps = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: -70, max: 70 }) },
        { weight: 2, arbitrary: fc.integer({ min: -5000, max: 5000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 ** 28 }) },
      ),
      { maxLength: 120 },
    );
    fc.assert(
      fc.property(sizes, steps, (size, moves) => {
        const window = new Window(size);
        const model = new Model(size);
        for (const move of moves) {
          const sequence = clamp(model.highest + BigInt(move), 0n, 0xffffffffn);
          assert.equal(window.offer(sequence), model.offer(sequence), `sequence ${sequence}`);
        }
        assert.deepEqual(window.state(), { highest: model.highest, bitmap: model.bitmap() });
      }),
      tries(150),
    );
  });

  it('takes exactly the last W numbers', () => {
    for (const size of [1, 32, 64, 100, 4096, 65536]) {
      const window = new Window(size);
      assert.ok(window.offer(100_000));
      assert.equal(window.offer(100_000 - size), false);
      assert.equal(window.offer(100_000), false);
      if (size > 1) assert.ok(window.offer(100_000 - size + 1));
    }
  });

  it('goes up to the last sequence number, and does not wrap', () => {
    const window = new Window(64);
    assert.ok(window.offer(0xfffffffe));
    assert.ok(window.offer(0xffffffff));
    assert.equal(window.offer(0xffffffff), false);
    assert.equal(window.offer(1), false);
    assert.ok(window.offer(0xffffffff - 63));
  });

  it('is not moved by a packet whose ICV is wrong', () => {
    const window = new Window(32);
    assert.ok(window.offer(10));
    assert.equal(window.offer(1_000_000, true), false);
    assert.ok(window.offer(9));
    assert.equal(window.state().highest, 10n);
  });

  it('is off with size 0', () => {
    const window = new Window(0);
    assert.ok(window.offer(5));
    assert.ok(window.offer(5));
    assert.ok(window.offer(0));
    assert.deepEqual(window.state(), { highest: 5n, bitmap: Buffer.alloc(0) });
  });

  it('starts with a given state: known gaps are open, unknown ones are not', () => {
    const state = { replayHighest: 100n, replayBitmap: Buffer.of(0b11111101) };
    const window = new Window(32, state);
    assert.equal(window.offer(100), false);
    assert.ok(window.offer(99));
    assert.equal(window.offer(98), false);
    assert.equal(window.offer(92), false, 'beyond the bitmap');
    assert.ok(window.offer(101));
    const copy = new Window(32, { replayHighest: 101n, replayBitmap: window.state().bitmap });
    assert.deepEqual(copy.state(), window.state());
  });
});

const SUBSPACE = 2n ** 32n;

describe('the anti-replay window with extended sequence numbers', () => {
  const esn = (window: number, highest = 0n, bitmap = Buffer.alloc(window)): Window =>
    new Window(window, { isEsn: true, replayHighest: highest, replayBitmap: bitmap });

  it('completes numbers as RFC 4303, A2.2 does, on every edge of the window', () => {
    for (const size of [1, 32, 64, 65, 4096]) {
      const width = BigInt(size);
      // Case A, its last number (Tl = W - 1), and case B before and behind it, in the third subspace.
      for (const low of [width, width - 1n, width - 2n, width / 2n, 0n, SUBSPACE - 1n]) {
        if (low < 0n) continue;
        const highest = 2n * SUBSPACE + low;
        const bottom = highest - width + 1n;
        const taken = (sequence: bigint): boolean => esn(size, highest).offer(sequence);
        const where = `window ${size}, highest 2^33 + ${low}`;
        assert.ok(taken(bottom), `the bottom: ${where}`);
        assert.ok(taken(highest), `the top, not seen yet: ${where}`);
        assert.ok(taken(highest + 1n), `above: ${where}`);
        // The farthest number that lower halves tell apart, and the first one beyond.
        assert.ok(taken(bottom + SUBSPACE - 1n), `far ahead: ${where}`);
        assert.equal(taken(bottom + SUBSPACE), false, `too far ahead: ${where}`);
        assert.equal(taken(bottom - 1n), false, `too old: ${where}`);
      }
    }
  });

  it('crosses into the next subspace and takes late ones of the one before', () => {
    for (const size of [32, 64, 65, 4096]) {
      const window = esn(size, SUBSPACE - 3n);
      assert.ok(window.offer(SUBSPACE - 1n));
      assert.ok(window.offer(SUBSPACE + 1n));
      assert.ok(window.offer(SUBSPACE - 2n), 'back across');
      assert.ok(window.offer(SUBSPACE), 'a lower half of 0');
      for (const seen of [-2n, -1n, 0n, 1n]) assert.equal(window.offer(SUBSPACE + seen), false);
      assert.ok(window.offer(SUBSPACE + BigInt(size)));
      assert.equal(window.offer(SUBSPACE), false, 'out of the window');
      assert.equal(window.state().highest, SUBSPACE + BigInt(size));
      assert.equal(window.drops().replayed, 4n);
      assert.equal(window.drops().forged, 1n);
    }
  });

  it('knows no number before the first and none beyond the last', () => {
    const fresh = esn(64);
    assert.equal(fresh.offer(0n), false);
    assert.equal(fresh.offer(SUBSPACE - 1n), false, 'a lower half of before the beginning');
    assert.deepEqual(fresh.drops(), { replayed: 2n, forged: 0n });
    const last = 2n ** 64n - 1n;
    const full = esn(64, last - 1n);
    assert.ok(full.offer(last));
    assert.equal(full.offer(last), false);
    assert.equal(full.offer(3n), false, 'no subspace is left');
    assert.deepEqual(full.drops(), { replayed: 2n, forged: 0n });
  });

  it('behaves like a set, for any window size and order, around subspaces', () => {
    const sizes = fc.constantFrom(1, 7, 32, 64, 65, 128, 4096);
    const starts = fc.constantFrom(0n, SUBSPACE - 100n, 3n * SUBSPACE - 2n, 2n ** 64n - 5000n);
    const steps = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: -70, max: 70 }) },
        { weight: 2, arbitrary: fc.integer({ min: -5000, max: 5000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 ** 31 }) },
      ),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(sizes, starts, steps, (size, start, moves) => {
        const window = esn(size, start);
        const model = new Model(size, start);
        for (const move of moves) {
          const sequence = clamp(model.highest + BigInt(move), 0n, 2n ** 64n - 1n);
          assert.equal(window.offer(sequence), model.offer(sequence), `sequence ${sequence}`);
        }
        assert.deepEqual(window.state(), { highest: model.highest, bitmap: model.bitmap() });
      }),
      tries(150),
    );
  });

  it('is not moved by a forged packet of the next subspace', () => {
    const window = esn(64, SUBSPACE - 3n);
    assert.equal(window.offer(SUBSPACE + 5n, true), false);
    assert.ok(window.offer(SUBSPACE - 2n));
    assert.equal(window.state().highest, SUBSPACE - 2n);
  });
});
