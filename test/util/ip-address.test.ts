import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressBytes, formatAddress, isIpv6 } from '../../src/util/index.ts';

const bytes = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);

test('bytes come back from their text', () => {
  fc.assert(
    fc.property(bytes, (address) => {
      const text = formatAddress(address);
      assert.deepEqual(addressBytes(text), address);
      assert.equal(isIpv6(text), address.length === 16);
    }),
  );
});

test('IPv6 text is that of RFC 5952', () => {
  const of = (text: string): string => formatAddress(addressBytes(text));
  assert.equal(of('2001:DB8:0:0:0:0:0:1'), '2001:db8::1');
  assert.equal(of('2001:db8:0:1:0:0:0:1'), '2001:db8:0:1::1');
  assert.equal(of('::'), '::');
});

for (const text of [
  '',
  '198.18.0',
  '198.18.0.256',
  '0x7f.0.0.1',
  '1',
  '198.18.0.1/24',
  'fe80::1::',
  'host',
  '::g',
]) {
  test(`"${text}" is no address`, () => {
    assert.throws(() => addressBytes(text), RangeError);
  });
}

test('an address has 4 or 16 bytes', () => {
  assert.throws(() => formatAddress(new Uint8Array(5)), RangeError);
});
