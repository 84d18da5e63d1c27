import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { IpsecPacket } from './ipsec-packet.ts';
import { allRows, type Row, rowName } from './row.ts';
import { expectedLength, wireFaults } from './wire-check.ts';

const SPI = 0xc0000001;
const SIZES = [0, 1, 100];

function rowCalled(name: string): Row {
  const row = allRows().find((candidate) => rowName(candidate) === name);
  assert(row !== undefined, name);
  return row;
}

/** What an implementation without faults sends for SIZES. */
function packetsOf(row: Row): readonly IpsecPacket[] {
  return SIZES.map((size, index) => {
    const bytes = randomBytes(expectedLength(row, size));
    bytes.writeUInt8(row.outer === 4 ? 5 : 6, 1);
    if (row.algorithm.encryption?.isConfidential !== true && size === 100) bytes.write('LAGOPUS-', 60);
    const { protocol } = row.algorithm;
    return { protocol, encapsulation: row.encapsulation, spi: SPI, sequence: index + 1, bytes };
  });
}

const faultsOf = (row: Row, packets: readonly IpsecPacket[]): readonly string[] =>
  wireFaults(row, packets, { spi: SPI, smallSizes: SIZES });

const gcm = rowCalled('esp-tunnel-4in4-plain-aes128gcm16');
const cbc = rowCalled('esp-transport-6in6-udp-aes256-sha512-esn');
const none = rowCalled('esp-tunnel-6in4-plain-null-sha1');
const ah = rowCalled('ah-tunnel-4in4-plain-sha256');

test('packets that fit the row have no faults', () => {
  for (const row of [gcm, cbc, none, ah]) assert.deepEqual(faultsOf(row, packetsOf(row)), [], rowName(row));
});

test('lengths are those of RFC 4303 and 4302', () => {
  // 8 + 8 of IV + (28 + 2, in words) + 16 of ICV
  assert.equal(expectedLength(gcm, 0), 8 + 8 + 32 + 16);
  // 8 + 16 of IV + (8 + 100 + 2, in blocks) + 32 of ICV
  assert.equal(expectedLength(cbc, 100), 8 + 16 + 112 + 32);
  // 12 + 16 of ICV, before the inner packet
  assert.equal(expectedLength(ah, 1), 12 + 16 + 20 + 8 + 1);
  // over IPv6 in units of eight bytes (RFC 4302, 2.2)
  assert.equal(expectedLength(rowCalled('ah-tunnel-4in6-plain-sha256'), 1), 32 + 20 + 8 + 1);
});

test('every other algorithm with another overhead or block is told apart by lengths', () => {
  for (const other of [
    'aes128gcm8',
    'aes128gcm12',
    'aes128-sha256',
    'aes128ctr-sha512',
    'null-sha1',
    '3des-sha1',
  ]) {
    const row = rowCalled(`esp-tunnel-4in4-plain-${other}`);
    assert.notDeepEqual(faultsOf(gcm, packetsOf(row)), [], other);
  }
});

type Damage = { readonly what: string; readonly packets: readonly IpsecPacket[]; readonly row: Row };

const [first, second, third] = packetsOf(gcm);
assert(first !== undefined && second !== undefined && third !== undefined);
const clear = Buffer.from(third.bytes);
clear.write('LAGOPUS-', 50);
const sameIv = Buffer.from(second.bytes);
first.bytes.copy(sameIv, 8, 8, 16);
const DAMAGES: readonly Damage[] = [
  { what: 'nothing on the wire', row: gcm, packets: [] },
  { what: 'another SPI', row: gcm, packets: packetsOf(gcm).map((packet) => ({ ...packet, spi: 1 })) },
  { what: 'UDP where none belongs', row: gcm, packets: [{ ...first, encapsulation: 'udp' }, second, third] },
  { what: 'a sequence number twice', row: gcm, packets: [first, second, { ...third, sequence: 2 }] },
  { what: 'a sequence number left out', row: gcm, packets: [first, second, { ...third, sequence: 4 }] },
  { what: 'the payload in clear', row: gcm, packets: [first, second, { ...third, bytes: clear }] },
  { what: 'an IV twice', row: gcm, packets: [first, { ...second, bytes: sameIv }, third] },
  {
    what: 'a packet not of whole blocks',
    row: gcm,
    packets: [first, second, third, { ...first, sequence: 4, bytes: randomBytes(first.bytes.length + 1) }],
  },
  {
    what: 'encryption by NULL',
    row: none,
    packets: packetsOf(none).map((packet) => ({ ...packet, bytes: randomBytes(packet.bytes.length) })),
  },
];

for (const { what, row, packets } of DAMAGES) {
  test(`finds: ${what}`, () => assert.notDeepEqual(faultsOf(row, packets), []));
}
