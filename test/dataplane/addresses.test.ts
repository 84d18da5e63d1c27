import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  encodeAddress,
  familyOf,
  formatAddress,
  isLinkLocal,
  mappedIpv4,
  parseAddress,
} from '../../src/dataplane/address.ts';
import { checkOuterPair } from '../../src/dataplane/sa-request.ts';

const bytes = (hex: string): { value: Buffer } => ({ value: Buffer.from(hex, 'hex') });
const six = '20010db8000000000000000000000001';

describe('addresses', () => {
  it('are parsed, told and given back in their own family', () => {
    for (const [hex, family, text] of [
      ['c6120001', 4, '198.18.0.1'],
      ['00000000', 4, '0.0.0.0'],
      [six, 6, '2001:db8::1'],
      ['0'.repeat(32), 6, '::'],
      ['f'.repeat(32), 6, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ] as const) {
      const address = parseAddress(bytes(hex), 'it');
      assert.deepEqual([familyOf(address), formatAddress(address)], [family, text]);
      assert.deepEqual(encodeAddress(address), bytes(hex));
    }
    assert.equal(parseAddress(bytes('c6120001'), 'it'), mappedIpv4(0xc6120001));
  });

  it('are refused when they are none, or an IPv4 one in disguise', () => {
    assert.throws(() => parseAddress(undefined, 'the peer'), /the peer: expected .* got none/);
    assert.throws(() => parseAddress(bytes('c61200'), 'it'), /4 or 16 bytes, got 3/);
    assert.throws(
      () => parseAddress(bytes(`${'0'.repeat(20)}ffffc6120001`), 'it'),
      /198\.18\.0\.1.*IPv4-mapped/,
    );
  });

  it('are link-local within fe80::/10', () => {
    const isLocal = (hex: string): boolean => isLinkLocal(parseAddress(bytes(hex.padEnd(32, '0')), 'it'));
    assert.deepEqual(['fe80', 'febf', 'fec0', 'fe7f', '2001'].map(isLocal), [
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('of an outer header are of one family, which the kernel has', () => {
    const [four, other] = [mappedIpv4(0xc6120001), parseAddress(bytes(six), 'it')];
    checkOuterPair(four, four, false);
    checkOuterPair(other, other, true);
    assert.throws(() => checkOuterPair(other, other, false), /no IPv6: nothing can be sent from 2001:db8::1/);
    assert.throws(
      () => checkOuterPair(four, other, true),
      /198\.18\.0\.1 and 2001:db8::1 are of two families/,
    );
  });
});
