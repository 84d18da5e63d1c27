import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearMisses, parseSpi } from '../../src/agent/spi-text.ts';
import { toSpi } from '../../src/sad/index.ts';
import { AgentError } from '../../src/util/index.ts';

test('reads an SPI as swanctl prints it, with 0x and without', () => {
  for (const text of ['c0a80001', '0xc0a80001', 'C0A80001', ' c0a80001 ']) {
    assert.equal(parseSpi(text), 0xc0a80001, text);
  }
  assert.equal(parseSpi('100'), 256);
});

test('refuses what is no SPI', () => {
  for (const text of ['', '0x', 'xyz', 'ff', '0', '123456789', '-1', '1.5', 'c0a8 0001']) {
    assert.throws(
      () => parseSpi(text),
      (error) => error instanceof AgentError && error.code === 'invalid-input',
      text,
    );
  }
});

test('names SPIs that were perhaps meant, and no others', () => {
  const known = [0xc0a80001, 0xc0a80002, 0x12345678].map(toSpi);
  const near = (spi: number): readonly string[] => nearMisses(toSpi(spi), known);
  assert.deepEqual(near(0xc0a80003), ['c0a80001', 'c0a80002']);
  assert.deepEqual(near(0x78563412), ['12345678']);
  assert.deepEqual(near(0x12345), ['12345678']);
  assert.deepEqual(near(0x3456), ['12345678']);
  assert.deepEqual(near(0xdeadbeef), []);
  assert.deepEqual(near(0x12345678), []);
});
