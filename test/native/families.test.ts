import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Address, addressBytes, mappedIpv4 } from '../../src/dataplane/address.ts';
import { EspResult, type NativeSa, SaWord } from '../../src/dataplane/native.ts';
import { flattenSelectors } from '../../src/dataplane/selector.ts';
import { gcm128, type Suite } from '../dataplane/samples.ts';
import { ahHeader, ahIcv } from './ah-reference.ts';
import { engineLab, INNER_LEFT, INNER_RIGHT, LEFT, nativeSa, RIGHT } from './engine-lab.ts';
import { alignmentOf, checksum, DF, ipv4, sealReference, udp, withTrailer } from './esp-reference.ts';
import { ipv6, optionsHeader, pseudoChecksum } from './ipv6-packets.ts';

const [ICMP6, UDP, ESP, AH, HOP, ROUTING, OPTIONS] = [58, 17, 50, 51, 0, 43, 60];
const site = 0x20010db8n << 96n;
const LEFT6: Address = site | 1n;
const RIGHT6: Address = site | 2n;
const INNER_LEFT6: Address = site | (1n << 64n) | 1n;
const INNER_RIGHT6: Address = site | (2n << 64n) | 1n;

const ahSuite: Suite = {
  ...gcm128,
  encryption: 0,
  encryptionKeyBytes: 0,
  integrity: 12,
  integrityKeyBytes: 32,
};
const ah = { protocol: AH, replayWindow: 64 };

const anyPort = { firstPort: 0, lastPort: 65535, protocol: 0 };
const any6 = flattenSelectors([{ family: 6, first: 0n, last: 2n ** 128n - 1n, ...anyPort }]);
const selectors6 = { sourceSelectors: any6, destinationSelectors: any6 };
const outer6 = { source: LEFT6, destination: RIGHT6 };

const payload = (bytes: number): Buffer => udp(1000, 2000, randomBytes(bytes));
const inner4 = (bytes: number, fields: { tos?: number; fragment?: number } = {}): Buffer =>
  ipv4({ source: INNER_LEFT, destination: INNER_RIGHT, protocol: UDP, payload: payload(bytes), ...fields });
const inner6 = (bytes: number, fields: { trafficClass?: number; flowLabel?: number } = {}): Buffer =>
  ipv6({ source: INNER_LEFT6, destination: INNER_RIGHT6, protocol: UDP, payload: payload(bytes), ...fields });

/** An outbound SA and the inbound one at the other end, in one engine. */
function pair(suite: Suite, overrides: Partial<NativeSa>) {
  const { engine, events } = engineLab();
  const sa = nativeSa(suite, overrides);
  const outbound = engine.addSa(sa);
  const inbound = engine.addSa({ ...sa, isInbound: true });
  const drops = (): bigint[] => {
    const words = new BigUint64Array(SaWord.count);
    engine.readSa(inbound, words);
    return [words[SaWord.integrityFailures] ?? 0n, words[SaWord.malformedDrops] ?? 0n];
  };
  const seal = (packet: Buffer): Buffer => {
    const outer = engine.encapsulate(outbound, packet);
    assert.ok(Buffer.isBuffer(outer), String(outer));
    return outer;
  };
  return { engine, events, sa, outbound, seal, drops };
}

function espOf(sa: NativeSa, sequence: number, iv: Buffer, load: Buffer, nextHeader: number): Buffer {
  const keys = { encryptionKey: Buffer.from(sa.encryptionKey), integrityKey: Buffer.from(sa.integrityKey) };
  const reference = { ...sa, ...keys };
  return sealReference(reference, {
    sequence,
    iv,
    text: withTrailer(load, alignmentOf(reference), nextHeader),
  });
}

describe('ESP in tunnel mode', () => {
  for (const [name, inner, outer, nextHeader] of [
    ['4 in 4', inner4(30), {}, 4],
    ['6 in 4', inner6(30), selectors6, 41],
    ['4 in 6', inner4(30), outer6, 4],
    ['6 in 6', inner6(30), { ...outer6, ...selectors6 }, 41],
  ] as const) {
    for (const isUdp of [false, true]) {
      it(`carries ${name}${isUdp ? ' in UDP' : ''} as a reference would`, () => {
        const ports = { isUdp, sourcePort: isUdp ? 4500 : 0, destinationPort: isUdp ? 4500 : 0 };
        const { engine, sa, seal } = pair(gcm128, { ...outer, ...ports });
        const packet = seal(inner);
        const isIpv6 = (packet[0] ?? 0) >> 4 === 6;
        const header = isIpv6 ? 40 : 20;
        assert.equal(isIpv6, 'source' in outer);
        assert.equal(packet[isIpv6 ? 6 : 9], isUdp ? UDP : ESP);
        assert.equal(packet[isIpv6 ? 7 : 8], 64);
        assert.equal(packet.readUInt16BE(isIpv6 ? 4 : 2), packet.length - (isIpv6 ? 40 : 0));
        assert.deepEqual(
          packet.subarray(header - (isIpv6 ? 32 : 8), header),
          Buffer.concat([sa.source, sa.destination].map(addressBytes)),
        );
        const at = header + (isUdp ? 8 : 0);
        if (isUdp && isIpv6) assert.equal(pseudoChecksum(packet, header, UDP), 0);
        if (isUdp && !isIpv6) assert.equal(packet.readUInt16BE(header + 6), 0);
        assert.deepEqual(
          packet.subarray(at),
          espOf(sa, 1, packet.subarray(at + 8, at + 16), inner, nextHeader),
        );
        assert.deepEqual(engine.decapsulate(packet), inner);
      });
    }
  }

  it('does not take one family for the other', () => {
    const { engine, sa } = pair(gcm128, outer6);
    const esp = (nextHeader: number, load: Buffer, sequence: number): Buffer =>
      ipv6({ ...outer6, protocol: ESP, payload: espOf(sa, sequence, randomBytes(8), load, nextHeader) });
    assert.equal(engine.decapsulate(esp(41, inner4(4), 1)), EspResult.inner);
    assert.equal(engine.decapsulate(esp(4, inner6(4), 2)), EspResult.inner);
    // The SA's selectors are for IPv4.
    assert.equal(engine.decapsulate(esp(41, inner6(4), 3)), EspResult.selectors);
    assert.ok(Buffer.isBuffer(engine.decapsulate(esp(4, inner4(4), 4))));
    const mapped = inner6(4);
    Buffer.from('00000000000000000000ffffc6130101', 'hex').copy(mapped, 8);
    assert.equal(engine.decapsulate(esp(41, mapped, 5)), EspResult.inner);
  });

  it('gives traffic class, flow label and DF to the outer header', () => {
    const six = pair(gcm128, { ...outer6, ...selectors6 });
    const packet = six.seal(inner6(4, { trafficClass: 0xb9, flowLabel: 0x12345 }));
    assert.equal(packet.readUInt32BE(0), 0x60000000 + (0xb9 << 20) + 0x12345);
    const four = pair(gcm128, selectors6).seal(inner6(4, { trafficClass: 0xb9 }));
    assert.deepEqual([four[1], four.readUInt16BE(6)], [0xb9, DF]);
    const plain = pair(gcm128, { ...selectors6, copyDf: false, copyDscpOut: false, copyEcn: false });
    const cleared = plain.seal(inner6(4, { trafficClass: 0xb9 }));
    assert.deepEqual([cleared[1], cleared.readUInt16BE(6)], [0, 0]);
    const fourInSix = pair(gcm128, outer6).seal(inner4(4, { tos: 0xb9, fragment: DF }));
    assert.equal(fourInSix.readUInt32BE(0), 0x60000000 + (0xb9 << 20));
  });

  it('gives ECN of an IPv6 outer header to the inner one (RFC 6040)', () => {
    const { engine, seal } = pair(gcm128, { ...outer6, ...selectors6 });
    const marked = seal(inner6(4, { trafficClass: 0x2a }));
    marked[1] = (marked[1] ?? 0) | 0x30;
    const result = engine.decapsulate(marked);
    assert.ok(Buffer.isBuffer(result));
    assert.equal(result.readUInt32BE(0) >>> 20, 0x62b);
    const notCapable = seal(inner6(4, { trafficClass: 0x28 }));
    notCapable[1] = (notCapable[1] ?? 0) | 0x30;
    assert.equal(engine.decapsulate(notCapable), EspResult.congestion);
  });
});

describe('the selectors of IPv6 packets', () => {
  it('look behind extension headers, and see no ports in later fragments', () => {
    const seen: unknown[] = [];
    const { engine } = engineLab((_in, _device, family, _s, _d, protocol, sourcePort, destinationPort) => {
      seen.push([family, protocol, sourcePort, destinationPort]);
      return Uint32Array.of(5, 0, 0);
    });
    const sa = nativeSa(gcm128, { ...outer6, ...selectors6 });
    const outbound = engine.addSa(sa);
    engine.addSa({ ...sa, isInbound: true });
    const extended = (protocol: number, load: Buffer): void => {
      const inner = ipv6({ source: INNER_LEFT6, destination: INNER_RIGHT6, protocol, payload: load });
      const outer = engine.encapsulate(outbound, inner);
      assert.ok(Buffer.isBuffer(outer));
      assert.deepEqual(engine.decapsulate(outer), inner);
    };
    const options = Buffer.of(1, 4, 0, 0, 0, 0);
    const fragment = (offset: number): Buffer => Buffer.of(UDP, 0, offset >> 8, offset & 0xf8, 0, 0, 0, 1);
    extended(UDP, payload(3));
    extended(HOP, Buffer.concat([optionsHeader(OPTIONS, options), optionsHeader(UDP, options), payload(3)]));
    extended(ICMP6, Buffer.of(128, 5, 0, 0));
    extended(44, Buffer.concat([fragment(0), payload(3)]));
    extended(44, Buffer.concat([fragment(8), randomBytes(20)]));
    // Cut off: what is there is all that is known.
    extended(OPTIONS, Buffer.of(UDP, 9, 0, 0));
    extended(59, Buffer.alloc(0));
    assert.deepEqual(seen, [
      [6, UDP, 1000, 2000],
      [6, ICMP6, 0x8005, 0x8005],
      [6, UDP, -1, -1],
      [6, OPTIONS, -1, -1],
      [6, 59, -1, -1],
    ]);
  });
});

describe('ESP in transport mode', () => {
  const own4 = (fields: { payload?: Buffer; fragment?: number; id?: number } = {}): Buffer =>
    ipv4({ source: LEFT, destination: RIGHT, protocol: UDP, payload: payload(30), id: 7, ...fields });

  it('keeps the IPv4 header, and gives the packet back', () => {
    const { engine, sa, seal } = pair(gcm128, { isTransport: true });
    const packet = own4({ fragment: DF });
    const outer = seal(packet);
    assert.deepEqual([outer[9], outer.readUInt16BE(2), outer.readUInt16BE(4)], [ESP, outer.length, 7]);
    assert.deepEqual(outer.subarray(12, 20), packet.subarray(12, 20));
    const esp = outer.subarray(20);
    assert.deepEqual(esp, espOf(sa, 1, esp.subarray(8, 16), packet.subarray(20), UDP));
    assert.deepEqual(engine.decapsulate(outer), packet);
  });

  it('places ESP behind hop-by-hop and routing headers, destination options behind it', () => {
    const { engine, sa, seal } = pair(gcm128, { isTransport: true, ...outer6, ...selectors6 });
    const options = Buffer.of(5, 2, 0, 0);
    const routing = Buffer.from([OPTIONS, 2, 0, 0, 0, 0, 0, 0, ...addressBytes(INNER_LEFT6)]);
    const load = Buffer.concat([optionsHeader(UDP, options), payload(9)]);
    const before = Buffer.concat([optionsHeader(OPTIONS, options), optionsHeader(ROUTING, options), routing]);
    for (const [front, protocol, inFront] of [
      [before, HOP, before.length],
      [optionsHeader(OPTIONS, options), HOP, 8],
      [Buffer.alloc(0), OPTIONS, 0],
    ] as const) {
      const packet = ipv6({ ...outer6, protocol, payload: Buffer.concat([front, load]) });
      const outer = seal(packet);
      const at = 40 + inFront;
      const esp = outer.subarray(at);
      const sequence = esp.readUInt32BE(4);
      assert.deepEqual(esp, espOf(sa, sequence, esp.subarray(8, 16), load, OPTIONS));
      assert.equal(outer.readUInt16BE(4), outer.length - 40);
      assert.deepEqual(engine.decapsulate(outer), packet);
    }
  });

  it('takes no fragments, and no packet between other addresses', () => {
    const { engine, outbound } = pair(gcm128, { isTransport: true });
    for (const packet of [own4({ fragment: 0x2000 }), own4({ fragment: 5 }), inner4(4)]) {
      assert.equal(engine.encapsulate(outbound, packet), EspResult.malformed);
    }
    const six = pair(gcm128, { isTransport: true, ...outer6 });
    const fragment = Buffer.concat([Buffer.of(UDP, 0, 0, 1, 0, 0, 0, 1), payload(8)]);
    const packet = ipv6({ ...outer6, protocol: 44, payload: fragment });
    assert.equal(six.engine.encapsulate(six.outbound, packet), EspResult.malformed);
  });

  it('corrects the checksums that a NAT made wrong (RFC 3948, 3.1.2)', () => {
    const ports = { isUdp: true, sourcePort: 4500, destinationPort: 4500 };
    const { engine, seal } = pair(gcm128, { isTransport: true, ...ports });
    const nat = mappedIpv4(0xc6120063);
    const datagram = payload(30);
    const packet = own4({ payload: datagram });
    packet.writeUInt16BE(pseudoChecksum(packet, 20, UDP), 26);
    assert.equal(pseudoChecksum(packet, 20, UDP), 0);
    const outer = seal(packet);
    addressBytes(nat).copy(outer, 12);
    const result = engine.decapsulate(outer);
    assert.ok(Buffer.isBuffer(result));
    assert.deepEqual(result.subarray(12, 16), addressBytes(nat));
    assert.equal(checksum(result.subarray(0, 20)), 0);
    assert.equal(pseudoChecksum(result, 20, UDP), 0);
    assert.deepEqual(result.subarray(28), datagram.subarray(8));
  });
});

describe('AH', () => {
  const routerAlert = Buffer.of(148, 4, 0, 0);
  const recordRoute = Buffer.of(7, 7, 4, 0, 0, 0, 0, 1);

  for (const [name, inner, outer] of [
    ['4 in 4', inner4(30), {}],
    ['6 in 4', inner6(30), selectors6],
    ['4 in 6', inner4(30), outer6],
    ['6 in 6', inner6(31), { ...outer6, ...selectors6 }],
  ] as const) {
    it(`carries ${name} as a reference would`, () => {
      const { engine, sa, seal, drops } = pair(ahSuite, { ...ah, ...outer });
      const packet = seal(inner);
      const isIpv6 = (packet[0] ?? 0) >> 4 === 6;
      const at = isIpv6 ? 40 : 20;
      const nextHeader = (inner[0] ?? 0) >> 4 === 6 ? 41 : 4;
      const header = ahHeader(sa.spi, 1, nextHeader, isIpv6);
      assert.equal(packet[isIpv6 ? 6 : 9], AH);
      assert.deepEqual(packet.subarray(at, at + 12), header.subarray(0, 12));
      assert.deepEqual(packet.subarray(at + header.length), inner);
      assert.deepEqual(packet.subarray(at + 12, at + 28), ahIcv(packet, at, sa.integrityKey));
      // Routers change these.
      packet[isIpv6 ? 7 : 8] = 9;
      if (!isIpv6) packet.writeUInt16BE(0x1234, 10);
      for (const bit of [8 * (at + 12), 8 * (at + 5), 8 * (packet.length - 1), isIpv6 ? 8 * 9 : 8 * 13]) {
        const bad = Buffer.from(packet);
        bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ 1;
        assert.equal(typeof engine.decapsulate(bad), 'number', `bit ${bit}`);
      }
      assert.deepEqual(engine.decapsulate(packet), inner);
      assert.ok((drops()[0] ?? 0n) >= 3n);
      assert.equal(engine.decapsulate(packet), EspResult.replayed);
    });
  }

  it('protects an IPv4 packet with options in transport mode', () => {
    const { engine, sa, seal } = pair(ahSuite, { ...ah, isTransport: true });
    const options = Buffer.concat([routerAlert, recordRoute]);
    const packet = ipv4({
      source: LEFT,
      destination: RIGHT,
      protocol: UDP,
      payload: Buffer.concat([options, payload(20)]),
    });
    packet[0] = 0x48;
    packet.writeUInt16BE(3, 4);
    const outer = seal(packet);
    assert.deepEqual(outer.subarray(44, 60), ahIcv(outer, 32, sa.integrityKey));
    // A router records itself, but may not touch the router alert.
    outer.fill(9, 27, 31);
    const forged = Buffer.from(outer);
    forged[22] = 1;
    assert.equal(engine.decapsulate(forged), EspResult.integrity);
    const result = engine.decapsulate(outer);
    assert.ok(Buffer.isBuffer(result));
    assert.deepEqual(result.subarray(32), packet.subarray(32));
    assert.equal(result[9], UDP);
    assert.equal(checksum(result.subarray(0, 32)), 0);
  });

  it('gives a packet an identification before the kernel would, and covers where a source route ends', () => {
    const { sa, seal } = pair(ahSuite, { ...ah, isTransport: true });
    const lsrr = Buffer.of(131, 7, 4, 10, 9, 8, 7, 1);
    const packet = ipv4({
      source: LEFT,
      destination: RIGHT,
      protocol: UDP,
      payload: Buffer.concat([lsrr, payload(4)]),
    });
    packet[0] = 0x47;
    const outer = seal(packet);
    assert.notEqual(outer.readUInt16BE(4), 0);
    const arrived = Buffer.from(outer);
    lsrr.copy(arrived, 16, 3, 7);
    assert.deepEqual(outer.subarray(40, 56), ahIcv(arrived, 28, sa.integrityKey));
  });

  it('protects an IPv6 packet with extensions in transport mode', () => {
    const { engine, sa, seal } = pair(ahSuite, { ...ah, isTransport: true, ...outer6, ...selectors6 });
    const [constant, mutable] = [Buffer.of(0x05, 2, 0, 7), Buffer.of(0x3e, 2, 1, 2)];
    const hop = optionsHeader(OPTIONS, Buffer.concat([constant, Buffer.of(0, 0), mutable]));
    const load = Buffer.concat([optionsHeader(UDP, constant), payload(20)]);
    const packet = ipv6({ ...outer6, protocol: HOP, payload: Buffer.concat([hop, load]), flowLabel: 5 });
    const outer = seal(packet);
    const at = 40 + hop.length;
    assert.deepEqual(outer.subarray(at, at + 2), Buffer.of(OPTIONS, 6));
    assert.deepEqual(outer.subarray(at + 12, at + 28), ahIcv(outer, at, sa.integrityKey));
    outer.fill(0xee, 40 + 10, 40 + 12);
    outer.writeUInt32BE(0x6ff12345, 0);
    const forged = Buffer.from(outer);
    forged[40 + 5] = 9;
    assert.equal(engine.decapsulate(forged), EspResult.integrity);
    const result = engine.decapsulate(outer);
    assert.ok(Buffer.isBuffer(result));
    assert.deepEqual(result.subarray(at), packet.subarray(at));
  });

  it('authenticates the high half of an extended sequence number', () => {
    const { engine, sa, seal } = pair(ahSuite, {
      ...ah,
      isEsn: true,
      nextSequence: 2n ** 32n - 1n,
      replayHighest: 2n ** 32n - 2n,
    });
    for (const high of [0, 1]) {
      const packet = seal(inner4(4));
      assert.deepEqual(packet.subarray(32, 48), ahIcv(packet, 20, sa.integrityKey, high));
      assert.ok(Buffer.isBuffer(engine.decapsulate(packet)));
    }
  });

  it('is another SA than ESP with the same SPI', () => {
    const { engine, seal } = pair(ahSuite, ah);
    const esp = nativeSa(gcm128);
    const outbound = engine.addSa(esp);
    engine.addSa({ ...esp, isInbound: true });
    const packet = engine.encapsulate(outbound, inner4(4));
    assert.ok(Buffer.isBuffer(packet));
    assert.ok(Buffer.isBuffer(engine.decapsulate(packet)));
    assert.ok(Buffer.isBuffer(engine.decapsulate(seal(inner4(4)))));
  });
});
