import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MalformedError, SecretBytes } from '../../../src/util/index.ts';
import { decodeMessage, encodeRequest, type PfkeyRequest } from '../../../src/vsw/pfkey/index.ts';
import { golden } from './golden.ts';

const PID = 99;
const pair = { source: 0xc6120001, destination: 0xc6120002 };
const id = { ...pair, spi: 0xc0ffee01 };
const any = { port: 0, prefixLength: 24 };
const left = { address: 0xc6130100, ...any };
const right = { address: 0xc6130200, ...any };

function bytes(first: number, count: number): SecretBytes {
  return new SecretBytes(Uint8Array.from({ length: count }, (_, i) => (first + i) & 255));
}

const cbcKey = bytes(0, 16);
const aes256 = new SecretBytes(Uint8Array.from({ length: 32 }, (_, i) => i % 16));
const policy = { priority: 100, source: left, destination: right, protocol: 0, tunnel: pair, reqid: 7 };

const requests: readonly (readonly [keyof typeof golden, PfkeyRequest])[] = [
  ['register', { kind: 'register' }],
  [
    'add',
    {
      kind: 'add',
      ...id,
      encryption: { algorithm: 12, key: cbcKey },
      integrity: { algorithm: 3, key: bytes(32, 20) },
      hardSeconds: 3600,
      softSeconds: 3000,
    },
  ],
  [
    'addUdp',
    {
      kind: 'add',
      ...id,
      encryption: { algorithm: 12, key: aes256 },
      integrity: { algorithm: 5, key: bytes(32, 32) },
      hardSeconds: 0,
      softSeconds: 0,
      udp: { sourcePort: 4500, destinationPort: 4501 },
    },
  ],
  [
    'addGcm',
    { kind: 'add', ...id, encryption: { algorithm: 20, key: bytes(0, 20) }, hardSeconds: 0, softSeconds: 0 },
  ],
  ['delete', { kind: 'delete', ...id }],
  ['get', { kind: 'get', ...id }],
  ['dump', { kind: 'dump' }],
  ['spd-add', { kind: 'spd-add', type: 'bypass', direction: 'inbound', ...policy }],
  [
    'spd-update',
    {
      kind: 'spd-update',
      type: 'protect',
      direction: 'outbound',
      ...policy,
      destination: { address: 0xc6130201, prefixLength: 32, port: 443 },
      protocol: 6,
    },
  ],
  ['spd-delete', { kind: 'spd-delete', type: 'discard', direction: 'inbound', ...policy }],
  ['spd-get', { kind: 'spd-get', id: 4711 }],
];

describe('PF_KEY requests', () => {
  for (const [name, request] of requests) {
    it(`are byte for byte what the structures say: ${name}`, () => {
      assert.equal(encodeRequest(request, 1, PID).toString('hex'), golden[name]);
    });
  }

  it('to add always have both lifetimes, without which vsw crashes', () => {
    for (const name of ['add', 'addUdp', 'addGcm'] as const) {
      const message = decodeMessage(Buffer.from(golden[name], 'hex'));
      assert.ok(message.hard !== undefined && message.soft !== undefined, name);
    }
  });
});

function decode(name: keyof typeof golden) {
  return decodeMessage(Buffer.from(golden[name], 'hex'));
}

describe('PF_KEY answers and upcalls', () => {
  it('that are errors have a number and nothing else', () => {
    assert.deepEqual(decode('r_enoent'), { type: 5, errno: 2, sequence: 1, pid: PID });
  });

  it('describe an SA, and leave no key in the bytes they came in', () => {
    const bytesOfIt = Buffer.from(golden.r_get, 'hex');
    const message = decodeMessage(bytesOfIt);
    assert.deepEqual(message.sa, { spi: 0xc0ffee01, state: 1, auth: 3, encrypt: 12 });
    assert.equal(message.source?.address, pair.source);
    assert.equal(message.destination?.address, pair.destination);
    assert.equal(message.hard?.addSeconds, 3600n);
    assert.ok(message.encryptionKey?.equals(cbcKey));
    assert.ok(message.integrityKey?.equals(bytes(32, 20)));
    const rest = bytesOfIt.toString('hex');
    assert.ok(!rest.includes('000102030405060708') && !rest.includes('202122232425'));
  });

  it('end a listing with sequence 0, of an SA of the configuration with overflown times', () => {
    const message = decode('r_dump_last');
    assert.deepEqual([message.type, message.sequence, message.sa?.spi], [10, 0, id.spi]);
    assert.equal(message.current?.addSeconds, 2n ** 64n - 62135596800n);
    assert.equal(message.hard?.addSeconds, 2n ** 64n - 9223372036n);
    assert.ok(message.encryptionKey?.equals(cbcKey));
  });

  it('say of an SA and of a policy what was done', () => {
    for (const [name, type] of [
      ['r_add', 3],
      ['r_delete', 4],
    ] as const) {
      const message = decode(name);
      assert.deepEqual([message.type, message.errno, message.sa?.spi], [type, 0, id.spi], name);
      assert.equal(message.source?.address, pair.source);
    }
    for (const [name, type, direction] of [
      ['r_spd_add', 14, 1],
      ['r_spd_update', 13, 2],
      ['r_spd_delete', 15, 1],
    ] as const) {
      const message = decode(name);
      assert.deepEqual([message.type, message.errno], [type, 0], name);
      assert.deepEqual(message.policy, { type: 2, direction, id: 4711, priority: 100 });
      assert.deepEqual(message.source, { ...left, protocol: 255 });
      assert.deepEqual(message.destination, { ...right, protocol: 255 });
    }
    assert.deepEqual(decode('r_eexist'), { type: 14, errno: 17, sequence: 1, pid: PID });
  });

  it('give a policy of the configuration without the addresses of its SA', () => {
    const message = decode('r_spd_get');
    assert.deepEqual(message.policy, { type: 2, direction: 2, id: 1911, priority: 100 });
  });

  it('tell of a hard lifetime', () => {
    const message = decode('r_expire_hard');
    assert.deepEqual([message.type, message.sequence, message.sa?.state], [8, 0, 3]);
    assert.equal(message.hard?.addSeconds, 3600n);
    assert.equal(message.soft, undefined);
  });

  it('tell of a soft lifetime', () => {
    const message = decode('r_expire');
    assert.deepEqual([message.type, message.sequence, message.sa?.state], [8, 0, 2]);
    assert.equal(message.soft?.addSeconds, 3000n);
    assert.equal(message.hard, undefined);
  });

  it('tell of a packet without an SA by its inner addresses', () => {
    const message = decode('r_acquire');
    assert.deepEqual([message.source?.address, message.destination?.address], [0xc6130101, 0xc6130201]);
  });

  it('list algorithms', () => {
    const { auth, encrypt } = decode('r_register');
    assert.deepEqual(auth, [{ id: 3, ivBytes: 0, minBits: 20, maxBits: 20 }]);
    assert.deepEqual(
      encrypt?.map(({ id: algorithm }) => algorithm),
      [12, 20],
    );
  });

  it('cut short anywhere are malformed, never half understood', () => {
    const all = ['r_get', 'r_dump_last', 'r_add', 'r_spd_add', 'r_spd_get'] as const;
    for (const name of [...all, 'r_expire', 'r_expire_hard', 'r_acquire', 'r_register'] as const) {
      const whole = Buffer.from(golden[name], 'hex');
      for (let end = 0; end < whole.length; end += 1) {
        assert.throws(() => decodeMessage(Buffer.from(whole.subarray(0, end))), MalformedError);
        if (end < 16 || end % 8 !== 0) continue;
        const relabelled = Buffer.from(whole.subarray(0, end));
        relabelled.writeUInt16LE(end / 8, 4);
        try {
          decodeMessage(relabelled);
        } catch (error) {
          assert.ok(error instanceof MalformedError, String(error));
        }
      }
    }
  });

  it('of another version, or with an extension of no length, are malformed', () => {
    const version = Buffer.from(golden.r_get, 'hex');
    version[0] = 1;
    assert.throws(() => decodeMessage(version), MalformedError);
    const empty = Buffer.from(golden.r_get, 'hex');
    empty.writeUInt16LE(0, 16);
    assert.throws(() => decodeMessage(empty), /extension of 0 bytes/);
  });
});
