import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import type { VswOptions } from '../support/fake-lagopus/index.ts';
import {
  type Extension,
  ExtensionType,
  MessageType,
  readHeader,
  write,
} from '../support/fake-lagopus/pfkey-wire.ts';
import { sampleSa, sampleSp } from '../support/fake-lagopus/router-samples.ts';
import { SaState } from '../support/fake-lagopus/sa.ts';
import { eventually, TempDir } from '../support/index.ts';
import { Router } from './harness.ts';
import { addOf, ends, keyOf, LOCAL, lifetimes, PfkeyPeer, REMOTE, saOf, spdOf } from './pfkey-peer.ts';

const { EEXIST, EINVAL, ENOENT } = constants.errno;
const INBOUND = 1;
const OUTBOUND = 2;
const BYPASS = 4;
const INNER = { source: '198.19.1.9', destination: '198.19.2.9' };

class PfkeyRouter implements AsyncDisposable {
  readonly router: Router;
  readonly dir: TempDir;

  private constructor(router: Router, dir: TempDir) {
    this.router = router;
    this.dir = dir;
  }

  static async start(
    options: Partial<VswOptions> & { readonly vrfs?: readonly string[] } = {},
  ): Promise<PfkeyRouter> {
    const dir = new TempDir();
    const router = await Router.start({
      ...options,
      pfkeyPath: (vrf) => dir.file(`lagopus-${vrf}.sock`),
    });
    await router.vsw.applied();
    return new PfkeyRouter(router, dir);
  }

  connect(vrf = 'vrf1'): Promise<PfkeyPeer> {
    return PfkeyPeer.connect(this.dir.file(`lagopus-${vrf}.sock`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

async function withPeer(
  work: (peer: PfkeyPeer, router: Router, lab: PfkeyRouter) => Promise<void>,
): Promise<void> {
  await using lab = await PfkeyRouter.start();
  using peer = await lab.connect();
  await work(peer, lab.router, lab);
}

test('REGISTER lists the algorithms, sizes of authentication keys in bytes', () =>
  withPeer(async (peer) => {
    const { header, bytes } = await peer.ask(MessageType.REGISTER, []);
    assert.deepEqual([header.errno, header.pid, header.seq], [0, 77, 1]);
    // Extension 14, reserved word, then 8 bytes per algorithm: HMAC-SHA1 is 3 with 20 "bits".
    const auth = bytes.subarray(16, 16 + bytes.readUInt16LE(16) * 8);
    const sha1 = Array.from({ length: 4 }, (_, at) => auth.subarray(8 + at * 8, 16 + at * 8)).find(
      (a) => a[0] === 3,
    );
    assert.equal(sha1?.readUInt16LE(2), 20);
  }));

test('GETSPI reserves; taken is EEXIST, and so is ADD after it', () =>
  withPeer(async (peer) => {
    const range = write.algorithms(ExtensionType.SPIRANGE, [{ id: 0, ivBytes: 0, min: 0, max: 0 }]);
    range.body.writeUInt32LE(0x1234, 0);
    range.body.writeUInt32LE(0x1234, 4);
    const first = await peer.ask(MessageType.GETSPI, [...ends(), range]);
    assert.equal(first.extensions.sa?.spi, 0x1234);
    assert.equal((await peer.ask(MessageType.GETSPI, [...ends(), range])).header.errno, EEXIST);
    assert.equal((await peer.ask(MessageType.ADD, addOf(0x1234))).header.errno, EEXIST);
    // Read in pfkey_server.go: a reserved SPI cannot be shown, which GET says and DUMP closes for.
    assert.equal((await peer.ask(MessageType.GET, [saOf(0x1234), ...ends()])).header.errno, EINVAL);
    peer.send(MessageType.DUMP, []);
    await peer.closed();
  }));

test('ADD answers with what it was given, and the SA is visible, larval until an SP enables it', () =>
  withPeer(async (peer, router) => {
    const added = await peer.ask(MessageType.ADD, addOf(0x10203040, 60, 50));
    assert.equal(added.header.errno, 0);
    assert.equal(added.extensions.sa?.spi, 0x10203040);
    assert.deepEqual([added.extensions.hard?.addTime, added.extensions.soft?.addTime], [60n, 50n]);
    router.vsw.tick();
    const before = await peer.ask(MessageType.GET, [saOf(0x10203040), ...ends()]);
    assert.equal(before.extensions.sa?.state, SaState.LARVAL);
    assert.equal((await peer.ask(MessageType.X_SPDADD, spdOf({ direction: INBOUND }))).header.errno, 0);
    router.vsw.tick();
    const { extensions } = await peer.ask(MessageType.GET, [saOf(0x10203040), ...ends()]);
    assert.equal(extensions.sa?.state, SaState.MATURE);
    assert.deepEqual(extensions.encryptKey, {
      bits: 160,
      bytes: Buffer.concat([Buffer.alloc(20, 0x5a), Buffer.alloc(4)]),
    });
    assert.deepEqual([extensions.source?.ip, extensions.destination?.ip], [LOCAL, REMOTE]);
    assert.equal(extensions.current?.bytes, 0n);
  }));

test('an SA and the policy that enables it come with one tick, at times the policy first: a packet between finds no SA', async () => {
  const between: string[] = [];
  let arePoliciesFirst = false;
  await using lab = await PfkeyRouter.start({
    arePoliciesFirst: () => arePoliciesFirst,
    onHalfTick: () => {
      const sent = lab.router.vsw.vrf('vrf1').forwarding.send(INNER);
      between.push(sent.kind === 'dropped' ? sent.reason : sent.kind);
    },
  });
  using peer = await lab.connect();
  const policy = spdOf({ direction: OUTBOUND });
  await peer.ask(MessageType.ADD, addOf(5));
  assert.equal((await peer.ask(MessageType.X_SPDADD, policy)).header.errno, 0);
  lab.router.vsw.tick();
  for (const [spi, isFirst] of [
    [6, true],
    [7, false],
  ] as const) {
    arePoliciesFirst = isFirst;
    await lab.router.clock.advance(1_000);
    await peer.ask(MessageType.ADD, addOf(spi));
    assert.equal((await peer.ask(MessageType.X_SPDUPDATE, policy)).header.errno, 0);
    lab.router.vsw.tick();
  }
  assert.deepEqual(between, ['no policy', 'no SA', 'esp']);
});

test('PF_KEY has AES-256-CBC, AES-CTR, 3DES and SHA2-256, but no AES-192 and no GCM-256', () =>
  withPeer(async (peer) => {
    const add = async (spi: number, encrypt: number, bytes: number): Promise<number> => {
      const auth = [keyOf(32, ExtensionType.KEY_AUTH)];
      const sa = [saOf(spi, encrypt, 5), ...ends(), keyOf(bytes), ...auth, ...lifetimes()];
      return (await peer.ask(MessageType.ADD, sa)).header.errno;
    };
    assert.equal(await add(1, 12, 32), 0);
    assert.equal(await add(2, 13, 20), 0);
    assert.equal(await add(3, 3, 24), 0);
    assert.equal(await add(4, 12, 24), EINVAL);
    assert.equal(await add(5, 20, 36), EINVAL);
    assert.equal(await add(6, 99, 16), EINVAL);
  }));

test('UPDATE answers ok and changes nothing; DELETE is always ok', () =>
  withPeer(async (peer, router) => {
    await peer.ask(MessageType.ADD, addOf(5));
    const other = [
      saOf(5),
      ...ends(),
      write.key(ExtensionType.KEY_ENCRYPT, Buffer.alloc(20, 1)),
      ...lifetimes(),
    ];
    assert.equal((await peer.ask(MessageType.UPDATE, other)).header.errno, 0);
    assert.equal(router.vsw.sas()[0]?.values.encryptionKey[0], 0x5a);
    assert.equal((await peer.ask(MessageType.DELETE, [saOf(5), ...ends()])).header.errno, 0);
    assert.equal((await peer.ask(MessageType.DELETE, [saOf(5), ...ends()])).header.errno, 0);
    assert.equal((await peer.ask(MessageType.GET, [saOf(5), ...ends()])).header.errno, ENOENT);
  }));

test('the last message of a DUMP has seq 0; an empty SAD is not answered at all', () =>
  withPeer(async (peer) => {
    peer.send(MessageType.DUMP, []);
    await peer.ask(MessageType.ADD, addOf(5));
    assert.deepEqual(peer.messages, []);
    await peer.ask(MessageType.ADD, addOf(6));
    peer.send(MessageType.DUMP, []);
    const dumped = [await peer.next(), await peer.next()];
    assert.deepEqual(
      dumped.map(({ header }) => header.seq),
      [4, 0],
    );
    assert.deepEqual(dumped.map(({ extensions }) => extensions.sa?.spi).sort(), [5, 6]);
  }));

test('DUMP does not show slot collisions: 150 SAs are listed, fewer hold a slot', () =>
  withPeer(async (peer, router) => {
    await router.operate(Array.from({ length: 150 }, (_, at) => sampleSa({ spi: 7_000 + at })).flat());
    peer.send(MessageType.DUMP, []);
    await eventually('the whole DUMP', () => peer.messages.length === 150, { timeoutMs: 5_000 });
    assert.ok(router.vsw.vrf('vrf1').forwarding.installed('inbound').length < 128);
  }));

test('entries added by one surface are visible through the other', () =>
  withPeer(async (peer, router) => {
    await router.operate([...sampleSa({ spi: 5 }), ...sampleSp({ name: 'out', spi: 5 })]);
    const { extensions } = await peer.ask(MessageType.GET, [saOf(5), ...ends()]);
    assert.equal(extensions.sa?.state, SaState.MATURE);
    assert.equal((await peer.ask(MessageType.X_SPDADD, spdOf({ direction: OUTBOUND }))).header.errno, EEXIST);
    assert.equal((await peer.ask(MessageType.ADD, addOf(5))).header.errno, EEXIST);
  }));

test('X_SPDADD without a matching SA is ENOENT, on the same selector EEXIST', () =>
  withPeer(async (peer) => {
    assert.equal((await peer.ask(MessageType.X_SPDADD, spdOf({ direction: OUTBOUND }))).header.errno, ENOENT);
    await peer.ask(MessageType.ADD, addOf(5));
    assert.equal((await peer.ask(MessageType.X_SPDADD, spdOf({ direction: OUTBOUND }))).header.errno, 0);
    assert.equal((await peer.ask(MessageType.X_SPDADD, spdOf({ direction: OUTBOUND }))).header.errno, EEXIST);
  }));

test('X_SPDUPDATE, X_SPDGET and X_SPDDELETE work; unknown is EINVAL, ENOENT, ENOENT', () =>
  withPeer(async (peer) => {
    await peer.ask(MessageType.ADD, addOf(5));
    assert.equal(
      (await peer.ask(MessageType.X_SPDUPDATE, spdOf({ direction: OUTBOUND }))).header.errno,
      EINVAL,
    );
    assert.equal(
      (await peer.ask(MessageType.X_SPDGET, spdOf({ direction: OUTBOUND, id: 1 }))).header.errno,
      ENOENT,
    );
    assert.equal(
      (await peer.ask(MessageType.X_SPDDELETE, spdOf({ direction: OUTBOUND }))).header.errno,
      ENOENT,
    );
    const id = (await peer.ask(MessageType.X_SPDADD, spdOf({ direction: OUTBOUND }))).extensions.policy?.id;
    assert.ok(id !== undefined && id !== 0);
    assert.equal((await peer.ask(MessageType.X_SPDUPDATE, spdOf({ direction: OUTBOUND }))).header.errno, 0);
    const shown = await peer.ask(MessageType.X_SPDGET, spdOf({ direction: OUTBOUND, id }));
    assert.deepEqual(
      [shown.extensions.source?.ip, shown.extensions.destination?.ip],
      ['198.19.1.0', '198.19.2.0'],
    );
    assert.equal((await peer.ask(MessageType.X_SPDDELETE, spdOf({ direction: OUTBOUND }))).header.errno, 0);
  }));

test('an SP is bound to the newest SA with the same outer pair, whatever the reqid', () =>
  withPeer(async (peer, router) => {
    await peer.ask(MessageType.ADD, addOf(5));
    await router.clock.advance(1);
    await peer.ask(MessageType.ADD, addOf(6));
    await peer.ask(MessageType.X_SPDADD, spdOf({ direction: OUTBOUND }));
    assert.equal(router.vsw.policies('vrf1')[0]?.spi, 6);
  }));

test('an inbound SP of type BYPASS with a tunnel request lets any inbound SA of the peer pass', () =>
  withPeer(async (peer, router) => {
    const inbound = { local: REMOTE, remote: LOCAL };
    await router.operate([...sampleSa({ spi: 5, ...inbound }), ...sampleSa({ spi: 6, ...inbound })]);
    const bypass = spdOf({
      type: BYPASS,
      direction: INBOUND,
      ...inbound,
      source: '198.19.2.0',
      destination: '198.19.1.0',
    });
    assert.equal((await peer.ask(MessageType.X_SPDADD, bypass)).header.errno, 0);
    router.vsw.tick();
    const { forwarding } = router.vsw.vrf('vrf1');
    for (const { spi, values } of router.vsw.sas()) {
      const inner = { source: '198.19.2.9', destination: '198.19.1.9' };
      const key = values.encryptionKey.toString('hex');
      const packet = { spi, sequence: 1, source: REMOTE, destination: LOCAL, key, inner };
      assert.equal(forwarding.receive(packet).kind, 'delivered');
    }
  }));

for (const [name, type] of Object.entries(MessageType).filter(([key]) =>
  ['FLUSH', 'X_SPDFLUSH', 'X_SPDDUMP', 'ACQUIRE', 'EXPIRE'].includes(key),
)) {
  test(`${name} closes the connection without a reply`, () =>
    withPeer(async (peer, router) => {
      peer.send(type, addOf(5));
      await peer.closed();
      assert.deepEqual(peer.messages, []);
      assert.equal(router.vsw.crash, undefined);
    }));
}

const CLOSING: Readonly<Record<string, readonly Extension[]>> = {
  'extension 23': [...addOf(5), { type: 23, body: Buffer.alloc(20) }],
  'extension 27': [...addOf(5), { type: 27, body: Buffer.alloc(4) }],
  'an identity': [...addOf(5), { type: 10, body: Buffer.alloc(12) }],
  'an IPv6 address': [saOf(5), { type: ExtensionType.ADDRESS_SRC, body: Buffer.alloc(36) }],
  'no KEY_ENCRYPT': [saOf(5), ...ends(), ...lifetimes()],
  'no SA': [...ends(), keyOf(20), ...lifetimes()],
};
for (const [name, extensions] of Object.entries(CLOSING)) {
  test(`ADD with ${name} closes the connection without a reply`, () =>
    withPeer(async (peer, router) => {
      peer.send(MessageType.ADD, extensions);
      await peer.closed();
      assert.deepEqual(peer.messages, []);
      assert.equal(router.vsw.isRunning, true);
    }));
}

const CRASHES: Readonly<Record<string, readonly [number, readonly Extension[]]>> = {
  'ADD without a hard lifetime': [
    MessageType.ADD,
    addOf(5).filter(({ type }) => type !== ExtensionType.LIFETIME_HARD),
  ],
  'ADD without a soft lifetime': [
    MessageType.ADD,
    addOf(5).filter(({ type }) => type !== ExtensionType.LIFETIME_SOFT),
  ],
  'SHA1 without KEY_AUTH': [MessageType.ADD, [saOf(5, 12, 3), ...ends(), keyOf(16), ...lifetimes()]],
  'DELETE with only SRC': [MessageType.DELETE, [saOf(5), ...ends().slice(0, 1)]],
};
for (const [name, [type, extensions]] of Object.entries(CRASHES)) {
  test(`${name} crashes vsw: every connection ends, and its stream`, () =>
    withPeer(async (peer, router, lab) => {
      using other = await lab.connect();
      peer.send(type, extensions);
      await peer.closed();
      await other.closed();
      assert.ok(router.vsw.crash);
      assert.equal(router.vsw.isSubscribed, false);
    }));
}

test('EXPIRE comes unsolicited on every connection, soft once and hard twice', async () => {
  await using lab = await PfkeyRouter.start({ vrfs: ['vrf1', 'vrf2'] });
  using peer = await lab.connect();
  // Read in connections.go: also on the sockets of other VRFs, and nothing in it says which VRF it is.
  using other = await lab.connect('vrf2');
  const { vsw, clock } = lab.router;
  await peer.ask(MessageType.ADD, addOf(5, 60, 50));
  await peer.ask(MessageType.X_SPDADD, spdOf({ direction: INBOUND }));
  vsw.tick();
  for (const [afterMs, kind, count] of [
    [50_001, 'soft', 1],
    [10_000, 'hard', 2],
  ] as const) {
    await clock.advance(afterMs);
    for (let at = 0; at < 3; at++) vsw.tick();
    for (const listener of [peer, other]) {
      for (let at = 0; at < count; at++) {
        const { header, extensions } = await listener.next();
        assert.equal(header.type, MessageType.EXPIRE);
        assert.equal(extensions.sa?.spi, 5);
        assert.ok(extensions[kind] !== undefined);
      }
      assert.deepEqual(listener.messages, []);
    }
  }
  assert.equal((await peer.ask(MessageType.GET, [saOf(5), ...ends()])).header.errno, ENOENT);
});

test('ACQUIRE comes once per tick with inner addresses only and sequence 0', () =>
  withPeer(async (peer, router) => {
    // Upcalls go to those whose connection vsw has taken.
    await peer.ask(MessageType.REGISTER, []);
    await router.operate(sampleSp({ name: 'out', spi: 5 }));
    const { forwarding } = router.vsw.vrf('vrf1');
    for (let at = 0; at < 5; at++) {
      assert.equal(forwarding.send({ source: '198.19.1.9', destination: '198.19.2.9' }).kind, 'dropped');
    }
    router.vsw.tick();
    const { header, extensions } = await peer.next();
    assert.deepEqual([header.type, header.seq], [MessageType.ACQUIRE, 0]);
    assert.deepEqual([extensions.source?.ip, extensions.destination?.ip], ['198.19.1.9', '198.19.2.9']);
    router.vsw.tick();
    await peer.ask(MessageType.ADD, addOf(6));
    assert.deepEqual(peer.messages, []);
  }));

test('end of file means that vsw died', () =>
  withPeer(async (peer, router) => {
    router.vsw.stop();
    await peer.closed();
  }));

// Read in pfkey_message.go.
test('a message of another version is answered with EINVAL, then the connection is closed', () =>
  withPeer(async (peer) => {
    assert.equal((await peer.ask(MessageType.GET, [], 1)).header.errno, EINVAL);
    await peer.closed();
  }));

test('the bytes of an ADD, as RFC 2367 lays them out on a little-endian host', () =>
  withPeer(async (peer) => {
    const { bytes } = await peer.ask(MessageType.ADD, addOf(0x01020304));
    const hex = (length: number, from: number): string => bytes.subarray(from, from + length).toString('hex');
    assert.equal(readHeader(bytes).words * 8, bytes.length);
    assert.equal(hex(16, 0), `02030003${'1200'}0000010000004d000000`);
    assert.equal(hex(16, 16), '02000100010203040001001400000000');
    assert.equal(hex(24, 32), '030005000020000002000000c61200010000000000000000');
  }));
