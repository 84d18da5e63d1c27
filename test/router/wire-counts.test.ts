import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpPacket } from '../conformance/ip-packet.ts';
import { HOST, PEER, ROUTER } from './configuration.ts';
import { countWire } from './wire-counts.ts';

const ESP = 50;
const ICMP = 1;
const UDP = 17;

function outer(protocol: number, ...words: readonly number[]): IpPacket {
  const payload = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) payload.writeUInt32BE(word, index * 4);
  return { source: ROUTER.outer, destination: PEER.outer, protocol, payload };
}

test('ESP, plain and in UDP, and what was seen twice', () => {
  const inUdp = outer(UDP, 0x1194_1194, 0, 0xc000_0001, 7);
  assert.deepEqual(countWire([outer(ESP, 0xc000_0001, 1), outer(ESP, 0xc000_0001, 1), inUdp]), {
    ...{ esp: 3, repeated: 1, ike: 0, clear: 0, other: 0 },
  });
});

test('the same sequence number under another SPI, or towards the other end, is no repetition', () => {
  const packet = outer(ESP, 5, 1);
  const back = { ...packet, source: PEER.outer, destination: ROUTER.outer };
  assert.equal(countWire([packet, outer(ESP, 6, 1), back]).repeated, 0);
});

test('an inner address outside ESP is in clear, whatever it is', () => {
  const inside = { protocol: ICMP, payload: Buffer.alloc(8) };
  const packets = [
    { ...inside, source: HOST, destination: PEER.inner },
    { ...inside, source: PEER.outer, destination: HOST },
    { ...outer(ESP, 5, 1), source: HOST },
  ];
  assert.equal(countWire(packets).clear, 3);
});

test('IKE is told from others', () => {
  const packets = [outer(UDP, 0x01f4_01f4, 0), outer(UDP, 0x1194_1194, 0, 0, 0), outer(ICMP, 0)];
  assert.deepEqual(countWire(packets), { esp: 0, repeated: 0, ike: 2, clear: 0, other: 1 });
});
