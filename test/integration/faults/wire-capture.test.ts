import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCapture } from './wire-capture.ts';

type Packet = {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly payload: Buffer;
};

const OUTER = { from: '198.18.0.1', to: '198.18.0.2' } as const;

function record({ from, to, protocol, payload }: Packet): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45);
  header.writeUInt8(protocol, 9);
  header.set(from.split('.').map(Number), 12);
  header.set(to.split('.').map(Number), 16);
  const frame = Buffer.concat([Buffer.alloc(14), header, payload]);
  const prefix = Buffer.alloc(16);
  prefix.writeUInt32LE(frame.length, 8);
  return Buffer.concat([prefix, frame]);
}

function capture(...packets: readonly Packet[]): Buffer {
  return Buffer.concat([Buffer.alloc(24), ...packets.map(record)]);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => {
    bytes.writeUInt32BE(value, 4 * index);
  });
  return bytes;
}

function esp(spi: number, sequence: number): Packet {
  return { ...OUTER, protocol: 50, payload: words(spi, sequence) };
}

/** A datagram between the ports of NAT traversal. */
function udp(payload: Buffer): Packet {
  const header = words((4500 << 16) | 4500, 0);
  return { ...OUTER, protocol: 17, payload: Buffer.concat([header, payload]) };
}

test('sequence numbers that grow are in order, each SA by itself, raw and in UDP', () => {
  const report = readCapture(
    capture(esp(0xc1, 1), esp(0xc2, 1), udp(words(0xc3, 1)), esp(0xc1, 2), esp(0xc1, 9), udp(words(0xc3, 2))),
  );
  assert.deepEqual(report, { espPackets: 6, streams: 3, repeated: [], clear: [] });
});

test('a number that comes again, or a lower one, is reported', () => {
  const { repeated } = readCapture(
    capture(esp(0xc1, 1), esp(0xc1, 2), esp(0xc1, 1), udp(words(0xc3, 5)), udp(words(0xc3, 5))),
  );
  assert.deepEqual(repeated, [
    '198.18.0.1 > 198.18.0.2 c1: 1 after 2',
    '198.18.0.1 > 198.18.0.2 c3: 5 after 5',
  ]);
});

test('IKE and keepalives are no ESP; an inner packet on the outer wire is reported', () => {
  const inner = { from: '198.19.32.1', to: '198.19.160.1', protocol: 17, payload: words(0, 0) };
  const report = readCapture(capture(udp(words(0, 1, 2)), udp(Buffer.from([0xff])), inner));
  assert.deepEqual(report, {
    espPackets: 0,
    streams: 0,
    repeated: [],
    clear: ['198.19.32.1 > 198.19.160.1, protocol 17'],
  });
});
