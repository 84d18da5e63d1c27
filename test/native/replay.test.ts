import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EspResult, type NativeSa, SaWord } from '../../src/dataplane/native.ts';
import { gcm128 } from '../dataplane/samples.ts';
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

  offer(sequence: number, isForged = false): boolean {
    const iv = Buffer.alloc(8);
    iv.writeUInt32BE(sequence, 4);
    const keys = { encryptionKey: Buffer.from(this.#sa.encryptionKey), integrityKey: Buffer.alloc(0) };
    const esp = sealReference({ ...this.#sa, ...keys }, { sequence, iv, text: withTrailer(inner, 4) });
    if (isForged) esp[esp.length - 1] = (esp[esp.length - 1] ?? 0) ^ 1;
    const { source, destination } = this.#sa;
    const result = this.#engine.decapsulate(ipv4({ source, destination, protocol: 50, payload: esp }));
    if (!Buffer.isBuffer(result) && !isForged) assert.equal(result, EspResult.replayed);
    return Buffer.isBuffer(result);
  }

  state(): { highest: number; bitmap: Buffer } {
    const words = new BigUint64Array(SaWord.count);
    this.#engine.readSa(this.handle, words);
    return { highest: Number(words[SaWord.highestSequence]), bitmap: this.#engine.readReplay(this.handle) };
  }
}

/** The window as RFC 4303, 3.4.3 puts it: a set. */
class Model {
  readonly #window: number;
  readonly #seen = new Set<number>();
  highest = 0;

  constructor(window: number) {
    this.#window = window;
  }

  offer(sequence: number): boolean {
    if (sequence === 0 || sequence <= this.highest - this.#window || this.#seen.has(sequence)) return false;
    this.#seen.add(sequence);
    this.highest = Math.max(this.highest, sequence);
    return true;
  }

  bitmap(): Buffer {
    const bytes = Buffer.alloc(Math.ceil(this.#window / 8));
    for (let i = 0; i < this.#window; i += 1) {
      if (this.#seen.has(this.highest - i)) bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (1 << (i & 7));
    }
    return bytes;
  }
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
          const sequence = Math.min(Math.max(model.highest + move, 0), 0xffffffff);
          assert.equal(window.offer(sequence), model.offer(sequence), `sequence ${sequence}`);
        }
        assert.deepEqual(window.state(), { highest: model.highest, bitmap: model.bitmap() });
      }),
      { numRuns: 150 },
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
    assert.equal(window.state().highest, 10);
  });

  it('is off with size 0', () => {
    const window = new Window(0);
    assert.ok(window.offer(5));
    assert.ok(window.offer(5));
    assert.ok(window.offer(0));
    assert.deepEqual(window.state(), { highest: 5, bitmap: Buffer.alloc(0) });
  });

  it('starts with a given state: known gaps are open, unknown ones are not', () => {
    const state = { replayHighest: 100, replayBitmap: Buffer.of(0b11111101) };
    const window = new Window(32, state);
    assert.equal(window.offer(100), false);
    assert.ok(window.offer(99));
    assert.equal(window.offer(98), false);
    assert.equal(window.offer(92), false, 'beyond the bitmap');
    assert.ok(window.offer(101));
    const copy = new Window(32, { replayHighest: 101, replayBitmap: window.state().bitmap });
    assert.deepEqual(copy.state(), window.state());
  });
});
