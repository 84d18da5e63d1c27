import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { type Address, mappedIpv4 } from '../../src/dataplane/address.ts';
import { tries } from '../support/tries.ts';
import { checksum, DF, ipv4 } from './esp-reference.ts';
import { ipv6, optionsHeader } from './ipv6-packets.ts';
import { SanitizedTool } from './sanitized-tool.ts';

const UDP = 17;
const four = { source: mappedIpv4(0xc6120001), destination: mappedIpv4(0xc6120002), protocol: UDP };
const LEFT: Address = (0x20010db8n << 96n) | 1n;
const six = { source: LEFT, destination: LEFT + 1n };

/** Packets with and without options or extensions. */
function packetOf(kind: string, bytes: number): Buffer {
  const payload = randomBytes(bytes);
  switch (kind) {
    case 'IPv4':
      return ipv4({ ...four, payload, id: 77 });
    case 'IPv4 with options': {
      // Record route, which only the first fragment has, and a router alert, which all have.
      const options = Buffer.from('070704000000000194040000', 'hex');
      const packet = ipv4({ ...four, payload: Buffer.concat([options, payload]), id: 78 });
      packet[0] = 0x48;
      packet.writeUInt16BE(0, 10);
      packet.writeUInt16BE(checksum(packet.subarray(0, 32)), 10);
      return packet;
    }
    case 'IPv6':
      return ipv6({ ...six, protocol: UDP, payload });
    default:
      return ipv6({
        ...six,
        protocol: 0,
        payload: Buffer.concat([optionsHeader(UDP, Buffer.of(5, 2, 0, 0)), payload]),
      });
  }
}

type Piece = { readonly offset: number; readonly isMore: boolean; readonly data: Buffer };

/** A fragment read a second time. */
function pieceOf(fragment: Buffer): Piece {
  if ((fragment[0] ?? 0) >> 4 === 4) {
    const field = fragment.readUInt16BE(6);
    const header = ((fragment[0] ?? 0) & 15) * 4;
    assert.equal(fragment.readUInt16BE(2), fragment.length);
    return { offset: (field & 0x1fff) * 8, isMore: (field & 0x2000) !== 0, data: fragment.subarray(header) };
  }
  const at = fragment[6] === 44 ? 40 : 48;
  assert.equal(fragment.readUInt16BE(4), fragment.length - 40);
  assert.deepEqual([fragment[at], fragment.readUInt32BE(at + 4)], [UDP, 0x12345678]);
  const field = fragment.readUInt16BE(at + 2);
  return { offset: field & 0xfff8, isMore: (field & 1) !== 0, data: fragment.subarray(at + 8) };
}

const kind = fc.constantFrom('IPv4', 'IPv4 with options', 'IPv6', 'IPv6 with extensions');

describe('fragments', () => {
  let tool: SanitizedTool;
  before(() => {
    tool = new SanitizedTool('fragment-tool', ['ip.c', 'ipv4.c', 'ipv6.c', 'fragment.c', 'reassemble.c']);
  });

  it('fit the MTU, have all the data, and are one datagram again in any order', () => {
    fc.assert(
      fc.property(
        kind,
        fc.integer({ min: 1, max: 65_400 }),
        fc.integer({ min: 576, max: 1500 }),
        fc.array(fc.nat(), { minLength: 120, maxLength: 120 }),
        (what, bytes, mtu, order) => {
          const packet = packetOf(what, bytes);
          const fragments = tool.run(['fragment', String(mtu)], [packet]);
          const pieces = fragments.map(pieceOf);
          assert.ok(fragments.every(({ length }) => length <= mtu));
          assert.deepEqual(
            Buffer.concat(pieces.map(({ data }) => data)),
            packet.subarray(packet.length - bytes),
          );
          for (const [index, { offset, isMore }] of pieces.entries()) {
            assert.equal(
              offset,
              pieces.slice(0, index).reduce((sum, { data }) => sum + data.length, 0),
            );
            assert.equal(isMore, index < pieces.length - 1);
          }
          if (what.startsWith('IPv4') && pieces.length === 1) return;
          const shuffled = fragments
            .map((fragment, index) => ({ fragment, rank: order[index % order.length] ?? 0 }))
            .sort((a, b) => a.rank - b.rank)
            .map(({ fragment }) => fragment);
          assert.deepEqual(tool.run(['reassemble'], shuffled), [packet]);
        },
      ),
      tries(60),
    );
  });

  it('keep of IPv4 options what is to be copied', () => {
    const fragments = tool.run(['fragment', '576'], [packetOf('IPv4 with options', 2000)]);
    assert.deepEqual(
      fragments.map((fragment) => fragment.subarray(20, 32).toString('hex')),
      fragments.map((_, index) => (index === 0 ? '070704000000000194040000' : '010101010101010194040000')),
    );
    for (const fragment of fragments) {
      const header = fragment.subarray(0, 32);
      assert.equal(checksum(header), 0);
    }
  });

  it('are not made of a packet with DF, nor of an IPv6 fragment', () => {
    const none = [Buffer.alloc(0)];
    assert.deepEqual(
      tool.run(['fragment', '576'], [ipv4({ ...four, payload: randomBytes(900), fragment: DF })]),
      none,
    );
    const [first = Buffer.alloc(0)] = tool.run(['fragment', '1400'], [packetOf('IPv6', 3000)]);
    assert.deepEqual(tool.run(['fragment', '800'], [first]), none);
  });

  it('that overlap, leave the datagram’s end or have odd lengths break it', () => {
    const [a, b, c] = tool.run(['fragment', '576'], [packetOf('IPv4', 1500)]);
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    const beyond = Buffer.from(c);
    beyond.writeUInt16BE(0x1fff, 6);
    const odd = Buffer.from(b.subarray(0, -3));
    odd.writeUInt16BE(odd.length, 2);
    for (const records of [[a, a], [b, a, b], [c, c], [beyond], [odd]]) {
      assert.deepEqual(tool.run(['reassemble'], records), [Buffer.alloc(0)]);
    }
  });

  it('that lie behind the last one leave no hole in a datagram', () => {
    // As many blocks as there have to be, but those in the middle are missing.
    const [a, b] = tool.run(['fragment', '576'], [packetOf('IPv4', 1500)]);
    assert.ok(a !== undefined && b !== undefined);
    const [beyond, last] = [Buffer.from(b), Buffer.from(b.subarray(0, 28))];
    beyond.writeUInt16BE(0x2000 | 500, 6);
    last.writeUInt16BE(last.length, 2);
    last.writeUInt16BE(69 + 10, 6);
    assert.deepEqual(tool.run(['reassemble'], [a, beyond, last]), [Buffer.alloc(0)]);
    assert.deepEqual(tool.run(['reassemble'], [beyond, a, last]), [Buffer.alloc(0)]);
  });

  it('of another TUN device are of another datagram', () => {
    const fragments = tool.run(['fragment', '1400'], [packetOf('IPv4', 2000)]);
    assert.equal(fragments.length, 2);
    assert.deepEqual(tool.run(['alternate'], fragments), []);
  });

  it('within a fragment are not put together', () => {
    // The reserved byte of the inner one, where another extension header has its length.
    const within = (inner: Buffer): Buffer =>
      ipv6({ ...six, protocol: 44, payload: Buffer.concat([Buffer.of(44, 0, 0, 0, 0, 0, 0, 1), inner]) });
    const inner = Buffer.concat([Buffer.of(UDP, 0xff, 0, 1, 0, 0, 0, 2), randomBytes(16)]);
    assert.deepEqual(tool.run(['reassemble'], [within(inner)]), [Buffer.alloc(0)]);
  });

  it('of nonsense do no harm', () => {
    const fragment = fc.record({
      what: kind,
      bytes: fc.nat(200),
      field: fc.nat(65535),
      header: fc.uint8Array({ minLength: 8, maxLength: 8 }),
      isCut: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 60 }), (list) => {
        const records = list.map(({ what, bytes, field, header, isCut }) => {
          const packet = packetOf(what, bytes + 8);
          if (what.startsWith('IPv4')) packet.writeUInt16BE(field, 6);
          else {
            packet[what === 'IPv6' ? 6 : 40] = 44;
            Buffer.from(header).copy(packet, what === 'IPv6' ? 40 : 48);
          }
          return isCut ? packet.subarray(0, packet.length - 3) : packet;
        });
        tool.run(['reassemble'], records);
      }),
      tries(60),
    );
  });
});
