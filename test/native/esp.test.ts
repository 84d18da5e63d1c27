import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { addressBytes, mappedIpv4 } from '../../src/dataplane/address.ts';
import {
  createEngine,
  EspResult,
  FlowAction,
  type NativeSa,
  SaEvent,
  SaWord,
} from '../../src/dataplane/native.ts';
import { everySuite, gcm128, type Suite } from '../dataplane/samples.ts';
import { engineLab, INNER_LEFT, INNER_RIGHT, LEFT, nativeSa, oneAddress, RIGHT } from './engine-lab.ts';
import {
  alignmentOf,
  checksum,
  DF,
  hasCounterIv,
  ipv4,
  ivBytesOf,
  sealReference,
  udp,
  withTrailer,
} from './esp-reference.ts';

const UDP = 17;
const ESP = 50;

function innerPacket(payloadBytes: number, fields: { tos?: number; fragment?: number } = {}): Buffer {
  const payload = udp(1000, 2000, randomBytes(payloadBytes));
  return ipv4({ source: INNER_LEFT, destination: INNER_RIGHT, protocol: UDP, payload, ...fields });
}

/** What a peer with this SA would send. */
function fromPeer(
  sa: NativeSa,
  sequence: number | bigint,
  payload: Buffer,
  options: { nextHeader?: number; tos?: number } = {},
): Buffer {
  const text = withTrailer(payload, alignmentOf(sa), options.nextHeader);
  return sealed(sa, sequence, text, options.tos);
}

function sealed(sa: NativeSa, sequence: number | bigint, text: Buffer, tos = 0): Buffer {
  const reference = {
    ...sa,
    encryptionKey: Buffer.from(sa.encryptionKey),
    integrityKey: Buffer.from(sa.integrityKey),
  };
  const iv = randomBytes(ivBytesOf(sa));
  const esp = sealReference(reference, { sequence, iv, text });
  return ipv4({ source: sa.source, destination: sa.destination, protocol: ESP, payload: esp, tos });
}

function inboundLab(suite: Suite, overrides: Partial<NativeSa> = {}) {
  const { engine, events } = engineLab();
  const sa = nativeSa(suite, { isInbound: true, ...overrides });
  const handle = engine.addSa(sa);
  const words = (): bigint[] => {
    const read = new BigUint64Array(SaWord.count);
    engine.readSa(handle, read);
    return [...read];
  };
  return { engine, events, sa, handle, words };
}

describe('encapsulation', () => {
  for (const suite of everySuite) {
    it(`gives what node:crypto gives: ${suite.name}`, () => {
      const { engine } = engineLab();
      const sa = nativeSa(suite, { nextSequence: 41n });
      const handle = engine.addSa(sa);
      const reference = {
        ...sa,
        encryptionKey: Buffer.from(sa.encryptionKey),
        integrityKey: Buffer.from(sa.integrityKey),
      };
      for (let bytes = 0; bytes < 40; bytes += 1) {
        const inner = innerPacket(bytes);
        const outer = engine.encapsulate(handle, inner);
        assert.ok(Buffer.isBuffer(outer));
        const sequence = 41 + bytes;
        const iv = outer.subarray(28, 28 + ivBytesOf(sa));
        if (hasCounterIv(sa)) assert.equal(iv.readBigUInt64BE(), BigInt(sequence));
        const text = withTrailer(inner, alignmentOf(reference));
        assert.deepEqual(outer.subarray(20), sealReference(reference, { sequence, iv, text }));
        assert.equal(outer.readUInt16BE(2), outer.length);
        assert.deepEqual([outer[0], outer[8], outer[9]], [0x45, 64, ESP]);
        assert.deepEqual(outer.subarray(12, 20), Buffer.concat([addressBytes(LEFT), addressBytes(RIGHT)]));
      }
    });
  }

  it('puts UDP without a checksum in front (RFC 3948)', () => {
    const { engine } = engineLab();
    const handle = engine.addSa(nativeSa(gcm128, { isUdp: true, sourcePort: 4500, destinationPort: 33333 }));
    const outer = engine.encapsulate(handle, innerPacket(10));
    assert.ok(Buffer.isBuffer(outer));
    assert.equal(outer[9], UDP);
    const header = outer.subarray(20, 28);
    assert.deepEqual(
      [header.readUInt16BE(0), header.readUInt16BE(2), header.readUInt16BE(4), header.readUInt16BE(6)],
      [4500, 33333, outer.length - 20, 0],
    );
    assert.equal(outer.readUInt32BE(28), 0xc0000001);
  });

  it('never gives a CBC packet the IV of another', () => {
    const { engine } = engineLab();
    const cbc = everySuite.find((suite) => suite.encryption === 12) ?? gcm128;
    const handle = engine.addSa(nativeSa(cbc));
    const ivs = new Set<string>();
    for (let i = 0; i < 100; i += 1) {
      const outer = engine.encapsulate(handle, innerPacket(10));
      assert.ok(Buffer.isBuffer(outer));
      ivs.add(outer.subarray(28, 44).toString('hex'));
    }
    assert.equal(ivs.size, 100);
  });

  it('copies DF, DSCP and ECN to the outer header only where the SA says so', () => {
    const { engine } = engineLab();
    const flags = [false, true];
    for (const copyDf of flags) {
      for (const copyDscpOut of flags) {
        for (const copyEcn of flags) {
          const handle = engine.addSa(nativeSa(gcm128, { copyDf, copyDscpOut, copyEcn }));
          const outer = engine.encapsulate(handle, innerPacket(10, { tos: 0xb9, fragment: DF }));
          assert.ok(Buffer.isBuffer(outer));
          assert.equal(outer[1], (copyDscpOut ? 0xb8 : 0) | (copyEcn ? 1 : 0));
          assert.equal(outer.readUInt16BE(6), copyDf ? DF : 0);
        }
      }
    }
  });

  it('sends the last sequence number, then no more, and says so once', () => {
    const { engine, events } = engineLab();
    const handle = engine.addSa(nativeSa(gcm128, { nextSequence: 2n ** 32n - 1n }));
    const last = engine.encapsulate(handle, innerPacket(10));
    assert.ok(Buffer.isBuffer(last));
    assert.equal(last.readUInt32BE(24), 0xffffffff);
    assert.equal(engine.encapsulate(handle, innerPacket(10)), EspResult.exhausted);
    assert.equal(engine.encapsulate(handle, innerPacket(10)), EspResult.exhausted);
    assert.deepEqual(
      events.map(({ event }) => event),
      [SaEvent.sequenceOverflow],
    );
  });

  it('ends at a lifetime in packets or bytes', () => {
    const { engine, events } = engineLab();
    const packets = engine.addSa(nativeSa(gcm128, { softPackets: 2n, hardPackets: 3n }));
    for (let i = 0; i < 3; i += 1) assert.ok(Buffer.isBuffer(engine.encapsulate(packets, innerPacket(10))));
    assert.equal(engine.encapsulate(packets, innerPacket(10)), EspResult.expired);
    const bytes = engine.addSa(nativeSa(gcm128, { softBytes: 100n, hardBytes: 110n }));
    for (let i = 0; i < 2; i += 1) assert.ok(Buffer.isBuffer(engine.encapsulate(bytes, innerPacket(32))));
    assert.equal(engine.encapsulate(bytes, innerPacket(32)), EspResult.expired);
    assert.deepEqual(
      events.map(({ event }) => event),
      [SaEvent.softPackets, SaEvent.hardPackets, SaEvent.softBytes, SaEvent.hardBytes],
    );
  });
});

describe('decapsulation', () => {
  it('ends at a lifetime in packets or bytes, and a move does not start it anew', () => {
    for (const limits of [
      { softPackets: 2n, hardPackets: 3n },
      // An IPv4 and a UDP header, and 32 bytes.
      { softBytes: 120n, hardBytes: 180n },
    ]) {
      const { engine, events } = engineLab();
      const sa = nativeSa(gcm128, { isInbound: true, ...limits });
      const handle = engine.addSa(sa);
      const take = (sequence: number): Buffer | number =>
        engine.decapsulate(fromPeer(sa, sequence, innerPacket(32)));
      assert.ok(Buffer.isBuffer(take(1)));
      engine.moveSa(handle, { ...sa, source: sa.source + 1n });
      assert.equal(take(1), EspResult.replayed);
      for (const sequence of [2, 3]) assert.ok(Buffer.isBuffer(take(sequence)));
      assert.equal(take(4), EspResult.expired);
      assert.deepEqual(
        events.map(({ event }) => event),
        'softPackets' in limits
          ? [SaEvent.softPackets, SaEvent.hardPackets]
          : [SaEvent.softBytes, SaEvent.hardBytes],
      );
    }
  });

  for (const suite of everySuite) {
    it(`takes what node:crypto made: ${suite.name}`, () => {
      const { engine, sa, words } = inboundLab(suite);
      for (let bytes = 0; bytes < 40; bytes += 1) {
        const inner = innerPacket(bytes);
        assert.deepEqual(engine.decapsulate(fromPeer(sa, bytes + 1, inner)), inner);
      }
      assert.equal(words()[SaWord.packets], 40n);
    });

    it(`drops every truncation and every flipped bit, and counts it: ${suite.name}`, () => {
      const { engine, sa, words } = inboundLab(suite);
      const good = fromPeer(sa, 1, innerPacket(5));
      for (let length = 0; length < good.length; length += 1) {
        const cut = Buffer.from(good.subarray(0, length));
        if (length >= 20) cut.writeUInt16BE(length, 2);
        assert.equal(typeof engine.decapsulate(cut), 'number', `${length} bytes`);
      }
      for (let bit = 20 * 8; bit < good.length * 8; bit += 1) {
        const bad = Buffer.from(good);
        bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.equal(typeof engine.decapsulate(bad), 'number', `bit ${bit}`);
      }
      const counted = words();
      assert.equal(counted[SaWord.packets], 0n);
      assert.ok((counted[SaWord.integrityFailures] ?? 0n) > 0n);
      // None of it moved the replay window: the good packet is still welcome.
      assert.ok(Buffer.isBuffer(engine.decapsulate(good)));
    });
  }

  it('drops bad padding, other next headers and broken inner packets, though their ICV is right', () => {
    for (const suite of everySuite) {
      const { engine, sa, words } = inboundLab(suite);
      const inner = innerPacket(30);
      const reference = { ...sa, encryptionKey: Buffer.alloc(0), integrityKey: Buffer.alloc(0) };
      const align = alignmentOf(reference);
      const text = (payload: Buffer, tail: readonly number[]): Buffer => {
        const fill = (align - ((payload.length + tail.length) % align)) % align;
        return Buffer.concat([payload, Buffer.alloc(fill), Buffer.from(tail)]);
      };
      const shortHeader = Buffer.from(inner);
      shortHeader[0] = 0x44;
      const tooLong = Buffer.from(inner);
      tooLong.writeUInt16BE(inner.length + 1, 2);
      const version6 = Buffer.from(inner);
      version6[0] = 0x65;
      const broken: readonly Buffer[] = [
        text(inner, [1, 2, 9, 3, 4]),
        text(inner, [255, 4]),
        text(Buffer.alloc(0), [200, 4]),
        withTrailer(inner, align, 41),
        withTrailer(inner, align, 6),
        withTrailer(shortHeader, align),
        withTrailer(tooLong.subarray(0, 58), align),
        withTrailer(version6, align),
        withTrailer(inner.subarray(0, 19), align),
        withTrailer(Buffer.alloc(0), align),
      ];
      broken.forEach((one, index) => {
        assert.equal(engine.decapsulate(sealed(sa, index + 1, one)), EspResult.inner, `case ${index}`);
      });
      assert.equal(words()[SaWord.malformedDrops], BigInt(broken.length));
      assert.equal(words()[SaWord.packets], 0n);
    }
  });

  it('discards dummy packets without a word, and takes off TFC padding', () => {
    const { engine, sa, words } = inboundLab(gcm128);
    assert.equal(engine.decapsulate(fromPeer(sa, 1, randomBytes(50), { nextHeader: 59 })), EspResult.dummy);
    assert.equal(words()[SaWord.malformedDrops], 0n);
    const inner = innerPacket(20);
    assert.deepEqual(engine.decapsulate(fromPeer(sa, 2, Buffer.concat([inner, randomBytes(100)]))), inner);
  });

  it('accepts UDP for a raw SA and raw for a UDP SA (RFC 7296, 2.23)', () => {
    const { engine, sa } = inboundLab(gcm128);
    const raw = fromPeer(sa, 1, innerPacket(9));
    const payload = udp(4500, 4500, Buffer.from(raw.subarray(20)));
    assert.ok(
      Buffer.isBuffer(engine.decapsulate(ipv4({ source: LEFT, destination: RIGHT, protocol: UDP, payload }))),
    );
  });

  it('gives ECN and DSCP to the inner packet as RFC 6040 and the SA say', () => {
    const [notEct, ect1, ect0, ce] = [0, 1, 2, 3];
    // RFC 6040, figure 4: rows are inner, columns outer, as above; undefined is a drop.
    const table = [
      [notEct, notEct, notEct, undefined],
      [ect1, ect1, ect1, ce],
      [ect0, ect1, ect0, ce],
      [ce, ce, ce, ce],
    ];
    const { engine, sa } = inboundLab(gcm128);
    let sequence = 0;
    for (const [inner, row] of table.entries()) {
      for (const [outer, expected] of row.entries()) {
        sequence += 1;
        const packet = innerPacket(20, { tos: 0x28 | inner });
        const result = engine.decapsulate(fromPeer(sa, sequence, packet, { tos: 0xb8 | outer }));
        if (expected === undefined) {
          assert.equal(result, EspResult.congestion);
          continue;
        }
        assert.ok(Buffer.isBuffer(result));
        assert.equal(result[1], 0x28 | expected);
        assert.equal(checksum(result.subarray(0, 20)), 0);
        assert.deepEqual(result.subarray(20), packet.subarray(20));
      }
    }
    const copying = inboundLab(gcm128, { copyEcn: false, copyDscpIn: true });
    const result = copying.engine.decapsulate(
      fromPeer(copying.sa, 1, innerPacket(20, { tos: 0x28 }), { tos: 0xbb }),
    );
    assert.ok(Buffer.isBuffer(result));
    assert.equal(result[1], 0xb8);
  });

  it('drops what does not match the SA’s own selectors', () => {
    const one = oneAddress;
    const cases: readonly (readonly [Partial<NativeSa>, boolean])[] = [
      [{ sourceSelectors: one(INNER_LEFT), destinationSelectors: one(INNER_RIGHT) }, true],
      [{ sourceSelectors: one(INNER_RIGHT) }, false],
      [{ destinationSelectors: one(INNER_LEFT) }, false],
      [{ destinationSelectors: Uint32Array.of(...one(INNER_LEFT), ...one(INNER_RIGHT)) }, true],
      [{ destinationSelectors: one(INNER_RIGHT, 2000, 2000, UDP) }, true],
      [{ destinationSelectors: one(INNER_RIGHT, 2001, 2001, UDP) }, false],
      [{ destinationSelectors: one(INNER_RIGHT, 0, 65535, 6) }, false],
      [{ sourceSelectors: one(INNER_LEFT, 65535, 0, UDP) }, false],
    ];
    for (const [overrides, isDelivered] of cases) {
      const { engine, sa, words } = inboundLab(gcm128, overrides);
      const result = engine.decapsulate(fromPeer(sa, 1, innerPacket(10)));
      assert.equal(Buffer.isBuffer(result), isDelivered);
      assert.equal(words()[SaWord.selectorDrops], isDelivered ? 0n : 1n);
    }
    const { engine, sa } = inboundLab(gcm128, { sourceSelectors: one(INNER_LEFT, 65535, 0, UDP) });
    const fragment = innerPacket(10, { fragment: 5 });
    assert.ok(Buffer.isBuffer(engine.decapsulate(fromPeer(sa, 1, fragment))), 'OPAQUE takes later fragments');
  });

  it('reports a peer that sends valid packets from another address, at most once a second', () => {
    const lab = inboundLab(gcm128, { isUdp: true, sourcePort: 4500, destinationPort: 4500 });
    const from = (port: number, sequence: number): Buffer => {
      const payload = udp(port, 4500, Buffer.from(fromPeer(lab.sa, sequence, innerPacket(9)).subarray(20)));
      return ipv4({ source: LEFT, destination: RIGHT, protocol: UDP, payload });
    };
    lab.engine.decapsulate(from(4500, 1));
    assert.equal(lab.events.length, 0);
    lab.engine.decapsulate(from(1024, 2));
    lab.engine.decapsulate(from(1024, 3));
    lab.engine.decapsulate(from(1024, 3));
    assert.deepEqual(lab.events, [{ sa: lab.handle, event: SaEvent.peerAddress, address: LEFT, port: 1024 }]);
    const forged = from(2048, 4);
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
    lab.engine.decapsulate(forged);
    assert.equal(lab.events.length, 1);
  });

  it('finds an SA by SPI and destination, and after it moved', () => {
    const { engine, sa, handle } = inboundLab(gcm128);
    const other = engine.addSa(nativeSa(gcm128, { isInbound: true, destination: LEFT }));
    assert.ok(Buffer.isBuffer(engine.decapsulate(fromPeer(sa, 1, innerPacket(10)))));
    engine.removeSa(other, new BigUint64Array(SaWord.count));
    const moved = {
      source: LEFT,
      destination: mappedIpv4(0xc6120099),
      isUdp: false,
      sourcePort: 0,
      destinationPort: 0,
      group: 0,
    };
    engine.moveSa(handle, moved);
    assert.equal(typeof engine.decapsulate(fromPeer(sa, 2, innerPacket(10))), 'number');
    assert.ok(Buffer.isBuffer(engine.decapsulate(fromPeer({ ...sa, ...moved }, 3, innerPacket(10)))));
    assert.equal(engine.decapsulate(fromPeer({ ...sa, ...moved }, 3, innerPacket(10))), EspResult.replayed);
  });
});

describe('extended sequence numbers', () => {
  for (const suite of everySuite) {
    it(`are authenticated whole, both ways: ${suite.name}`, () => {
      const first = 2n ** 32n - 2n;
      const { engine, sa } = inboundLab(suite, { isEsn: true, replayHighest: first - 1n });
      const sender = engine.addSa({ ...sa, isInbound: false, nextSequence: first });
      for (let sequence = first; sequence < first + 4n; sequence += 1n) {
        const inner = innerPacket(Number(sequence - first));
        const outer = engine.encapsulate(sender, inner);
        assert.ok(Buffer.isBuffer(outer));
        assert.equal(outer.readUInt32BE(24), Number(sequence & 0xffffffffn));
        const iv = outer.subarray(28, 28 + ivBytesOf(sa));
        if (hasCounterIv(sa)) assert.equal(iv.readBigUInt64BE(), sequence);
        const text = withTrailer(inner, alignmentOf(sa));
        const reference = {
          ...sa,
          encryptionKey: Buffer.from(sa.encryptionKey),
          integrityKey: Buffer.from(sa.integrityKey),
        };
        assert.deepEqual(outer.subarray(20), sealReference(reference, { sequence, iv, text }));
        assert.deepEqual(engine.decapsulate(outer), inner);
        assert.equal(engine.decapsulate(outer), EspResult.replayed);
      }
      // The same lower half with another upper one.
      assert.equal(engine.decapsulate(fromPeer(sa, 2n ** 33n + 5n, innerPacket(8))), EspResult.integrity);
    });
  }

  it('end with 2^64-1, which is said once', () => {
    const { engine, events } = engineLab();
    const handle = engine.addSa(nativeSa(gcm128, { isEsn: true, nextSequence: 2n ** 64n - 2n }));
    const words = new BigUint64Array(SaWord.count);
    for (const low of [0xfffffffe, 0xffffffff]) {
      const outer = engine.encapsulate(handle, innerPacket(10));
      assert.ok(Buffer.isBuffer(outer));
      assert.equal(outer.readUInt32BE(24), low);
      engine.readSa(handle, words);
      assert.equal(words[SaWord.nextSequence], 2n ** 64n - 1n);
    }
    assert.equal(engine.encapsulate(handle, innerPacket(10)), EspResult.exhausted);
    assert.equal(engine.encapsulate(handle, innerPacket(10)), EspResult.exhausted);
    assert.deepEqual(
      events.map(({ event }) => event),
      [SaEvent.sequenceOverflow],
    );
  });

  it('are refused where they cannot be completed, and numbers that are none', () => {
    const { engine } = engineLab();
    const inbound = { isInbound: true, isEsn: true };
    assert.throws(() => engine.addSa(nativeSa(gcm128, { ...inbound, replayWindow: 0 })), /replayWindow/);
    assert.ok(engine.addSa(nativeSa(gcm128, { isEsn: true, replayWindow: 0 })), 'outbound');
    assert.throws(() => engine.addSa(nativeSa(gcm128, { nextSequence: 0n })), /nextSequence/);
    assert.throws(() => engine.addSa(nativeSa(gcm128, { nextSequence: 2n ** 32n })), /nextSequence/);
  });
});

describe('TFC padding', () => {
  const unpadded = (bytes: number): Buffer => innerPacket(bytes - 28);

  it('makes shorter packets as long as the SA says, and the peer takes it off', () => {
    for (const suite of everySuite) {
      const { engine, sa } = inboundLab(suite);
      const sender = engine.addSa({ ...sa, isInbound: false, tfcLength: 500 });
      const lengths = new Set<number>();
      for (const bytes of [28, 100, 499, 500]) {
        const inner = unpadded(bytes);
        const outer = engine.encapsulate(sender, inner);
        assert.ok(Buffer.isBuffer(outer));
        lengths.add(outer.length);
        assert.deepEqual(engine.decapsulate(outer), inner);
      }
      assert.equal(lengths.size, 1, suite.name);
      const longer = engine.encapsulate(sender, unpadded(600));
      assert.ok(Buffer.isBuffer(longer));
      assert.ok(!lengths.has(longer.length));
    }
  });

  it('of 2^32-1 goes to the MTU and not beyond', () => {
    const { engine, sa } = inboundLab(gcm128);
    const sender = engine.addSa({ ...sa, isInbound: false, tfcLength: 0xffffffff });
    const lengths = [28, 1000, 1400].map((bytes) => {
      const outer = engine.encapsulate(sender, unpadded(bytes));
      assert.ok(Buffer.isBuffer(outer));
      return outer.length;
    });
    // Outer header, SPI and sequence number, IV, MTU, trailer, ICV.
    assert.deepEqual(new Set(lengths), new Set([20 + 8 + 8 + 1400 + 4 + 16]));
    const counted = new BigUint64Array(SaWord.count);
    engine.readSa(sender, counted);
    assert.equal(counted[SaWord.bytes], 2428n, 'padding is not counted');
  });
});

describe('the addon', () => {
  it('throws on handles and values that are wrong', () => {
    const { engine } = engineLab();
    const words = new BigUint64Array(SaWord.count);
    const handle = engine.addSa(nativeSa(gcm128));
    assert.throws(() => engine.readSa(12345, words), /handle/);
    assert.throws(() => engine.readSa(handle, new BigUint64Array(1)), /BigUint64Array/);
    engine.removeSa(handle, words);
    assert.throws(() => engine.readSa(handle, words), /handle/);
    const reused = engine.addSa(nativeSa(gcm128));
    assert.notEqual(reused, handle);
    assert.throws(() => engine.readSa(handle, words), /handle/);
    assert.throws(() => engine.addSa(nativeSa(gcm128, { sourcePort: 70000 })), /sourcePort/);
    assert.throws(() => engine.addSa(nativeSa(gcm128, { encryptionKey: randomBytes(3) })), /key lengths/);
    assert.throws(() => engine.addSa(nativeSa(gcm128, { sourceSelectors: new Uint32Array(4) })), /selectors/);
    assert.throws(() => engine.addSa(nativeSa(gcm128, { replayWindow: 1_000_000 })), /replayWindow/);
    assert.throws(() => engine.fingerprint(reused, randomBytes(3)), /nonce/);
  });

  it('may be called from within what it reports', () => {
    const inner = innerPacket(10);
    const delivered: unknown[] = [];
    const engine = createEngine({
      classify: () => Uint32Array.of(FlowAction.pass, 0, 0),
      saEvent: (sa) => {
        if (sa !== first) return;
        const outer = engine.encapsulate(second, inner);
        assert.ok(Buffer.isBuffer(outer));
        delivered.push(engine.decapsulate(outer));
        engine.receive();
      },
      acquire: () => undefined,
      dropped: () => undefined,
      fault: () => undefined,
      closed: () => undefined,
    });
    const sa = nativeSa(gcm128, { softPackets: 1n });
    const first = engine.addSa({ ...sa, spi: 0xc0000009 });
    const second = engine.addSa(sa);
    engine.addSa({ ...sa, isInbound: true });
    assert.ok(Buffer.isBuffer(engine.encapsulate(first, inner)));
    assert.deepEqual(delivered, [inner]);
  });

  it('asks the SPD again after an SA moved', () => {
    const answers = [FlowAction.drop, FlowAction.pass];
    const { engine } = engineLab(() => Uint32Array.of(answers.shift() ?? FlowAction.drop, 0, 0));
    const sa = nativeSa(gcm128, { isInbound: true });
    const handle = engine.addSa(sa);
    assert.equal(engine.decapsulate(fromPeer(sa, 1, innerPacket(10))), EspResult.policy);
    engine.moveSa(handle, sa);
    assert.ok(Buffer.isBuffer(engine.decapsulate(fromPeer(sa, 2, innerPacket(10)))));
  });

  it('refuses to be called while it classifies', () => {
    let caught: unknown;
    const { engine } = engineLab(() => {
      try {
        engine.clearFlows();
      } catch (error) {
        caught = error;
      }
      return Uint32Array.of(5, 0, 0);
    });
    const sa = nativeSa(gcm128, { isInbound: true });
    engine.addSa(sa);
    assert.ok(Buffer.isBuffer(engine.decapsulate(fromPeer(sa, 1, innerPacket(10)))));
    assert.match(String(caught), /classifies/);
  });
});
