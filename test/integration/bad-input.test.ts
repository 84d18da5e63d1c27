import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { test } from 'node:test';
import { encodePluginMessage } from '../../src/keyfeed/index.ts';
import { Direction, type Operation, ResultCode, Sa, type SaId } from '../../src/proto/index.ts';
import { ContractClient } from '../dataplane/contract-client.ts';
import { connectTo, RawGrpc } from '../dataplane/raw-grpc.ts';
import { address, addSa, deleteSa, saId, sampleSa } from '../dataplane/samples.ts';
import { sampleSa as sampleFeedSa } from '../keyfeed/samples.ts';
import {
  assertSettled,
  establish,
  eventually,
  type FeedRelay,
  type GatewayPair,
  Lab,
  logsDuring,
  startRelayedPair,
  statusOf,
  Traffic,
} from '../support/index.ts';

type RelayedPair = GatewayPair & { readonly relay: FeedRelay };

/** A frame of the key feed, with the length that its bytes have. */
function frame(...body: readonly number[]): Buffer {
  return Buffer.from([0, 0, 0, body.length, ...body]);
}

/** Bytes for either end of the key feed, and what it has to say about them. */
type BadFrames = Readonly<Record<string, { readonly bytes: Uint8Array; readonly reason: RegExp }>>;

const FOR_THE_PLUGIN: BadFrames = {
  'a length of 4 GiB': { bytes: Buffer.alloc(4, 0xff), reason: /at offset \d+/ },
  'an empty frame': { bytes: Buffer.alloc(4), reason: /at offset \d+/ },
  'a type nobody knows': { bytes: frame(99), reason: /at offset \d+/ },
  'a RESULT of nothing': { bytes: frame(67), reason: /at offset \d+/ },
  'an attribute longer than its frame': { bytes: frame(65, 0, 51, 0, 200), reason: /at offset \d+/ },
  'a second AGENT_HELLO': { bytes: frame(64, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 65), reason: /only once/ },
};

const FOR_THE_AGENT: BadFrames = {
  'a length of 4 GiB': {
    bytes: Buffer.alloc(4, 0xff),
    reason: /a frame of 4294967295 bytes, .* at byte \d+/,
  },
  'an empty frame': { bytes: Buffer.alloc(4), reason: /a frame of 0 bytes, .* at byte \d+/ },
  'a type nobody knows': { bytes: frame(60), reason: /a frame of type 60, at byte \d+/ },
  'an ADD_SA of nothing': { bytes: frame(6), reason: /add-sa without SEQ, at byte \d+/ },
  'an attribute longer than its frame': {
    bytes: frame(8, 0, 5, 0, 200),
    reason: /200 bytes expected, 0 there, at byte \d+/,
  },
  'an ADD_SA that awaits nothing': {
    bytes: encodePluginMessage({ kind: 'add-sa', seq: 1_000n, awaited: false, sa: sampleFeedSa() }),
    reason: /does not await an answer/,
  },
  'a second snapshot': {
    bytes: encodePluginMessage({ kind: 'snapshot-begin', seq: 2_000n }),
    reason: /a second snapshot, at byte \d+/,
  },
};

/** What was said ended one connection; the agent opens the next one, and is as ready as before. */
async function assertReconnects({ relay, gateway }: RelayedPair, say: () => Promise<unknown>): Promise<void> {
  const { connections } = relay;
  await say();
  await eventually('the agent is back', async () => {
    return relay.connections === connections + 1 && (await statusOf(gateway)).isReady;
  });
}

async function assertPluginRefuses(pair: RelayedPair, { bytes, reason }: BadFrames[string]): Promise<void> {
  await assertReconnects(pair, () =>
    logsDuring(pair.ours, new RegExp(`closing connection to agent: .*${reason.source}`), async () =>
      pair.relay.toPlugin(bytes),
    ),
  );
}

async function assertAgentRefuses(pair: RelayedPair, { bytes, reason }: BadFrames[string]): Promise<void> {
  const { process } = pair.gateway.agent;
  const { length } = await process.log();
  await assertReconnects(pair, async () => pair.relay.toAgent(bytes));
  assert.match((await process.log()).slice(length), reason);
}

const APPLY = '/lagopus.ipsec.v1.IpsecService/Apply';

/** Neither a field of any number nor a length that ends. */
const NO_MESSAGE = Buffer.from('ffffffffffff', 'hex');

/** Random bytes have the other side end the connection. */
async function assertHangsUp(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(randomBytes(4_096));
  await new Promise((resolve) => socket.once('close', resolve));
}

/** An SA between addresses nobody has. */
function strangeSa(overrides: Partial<Sa> = {}): Sa {
  const ends = { source: '198.18.9.1', destination: '198.18.9.2' };
  return sampleSa({ direction: Direction.DIRECTION_INBOUND, spi: 0x1000, ...ends, overrides });
}

const strangeId = (spi: number, destination: string): SaId =>
  saId(Direction.DIRECTION_INBOUND, spi, destination);

/** Operations with values the contract does not have, and why they are refused. */
const OUT_OF_RANGE: Readonly<Record<string, { readonly operation: Operation; readonly reason: RegExp }>> = {
  'no kind': { operation: {}, reason: /of one kind/ },
  'an SA of nothing': { operation: addSa(Sa.create()), reason: /no id/ },
  'an SPI that is reserved': {
    operation: addSa(strangeSa({ id: strangeId(255, '198.18.9.2') })),
    reason: /SPI/i,
  },
  'a direction that is none': {
    operation: addSa(strangeSa({ id: saId(Direction.DIRECTION_UNSPECIFIED, 0x1000, '198.18.9.2') })),
    reason: /direction/,
  },
  'an address of 3 bytes': {
    operation: addSa(strangeSa({ source: { value: Buffer.alloc(3) } })),
    reason: /outer source/,
  },
  'a key of 17 bytes': {
    operation: addSa(strangeSa({ encryptionKey: randomBytes(17) })),
    reason: /got 17 bytes/,
  },
  'a sequence number of 33 bits': {
    operation: addSa(strangeSa({ replayState: { highestSequence: 2n ** 32n, bitmap: Buffer.alloc(4) } })),
    reason: /does not fit into 32 bits/,
  },
};

async function assertOutOfRangeIsRefused({ gateway }: GatewayPair): Promise<void> {
  using client = new ContractClient(gateway.dataplane.target);
  await client.acquire();
  for (const [what, { operation, reason }] of Object.entries(OUT_OF_RANGE)) {
    const { code, message } = await client.one(operation);
    assert.notEqual(code, ResultCode.RESULT_CODE_OK, what);
    assert.match(message, reason, what);
  }
  const tooMany = Array.from({ length: 1_025 }, () => deleteSa(strangeId(0x1000, '198.18.9.2')));
  await assert.rejects(client.apply(...tooMany), /INVALID_ARGUMENT: 1025 operations/);
}

/** Another owner can neither replace nor delete the SAs in use. */
async function assertForeignHandsOff({ gateway, ours }: GatewayPair): Promise<void> {
  using client = new ContractClient(gateway.dataplane.target);
  await client.acquire();
  const [listed] = await ours.swanctl.childSas();
  assert(listed !== undefined);
  const id = strangeId(listed.spiIn, ours.site.outer);
  const { code, message } = await client.one(addSa(strangeSa({ id, source: address('198.18.0.2') })));
  assert.equal(code, ResultCode.RESULT_CODE_SPI_COLLISION, message);
  const deleted = await client.one(deleteSa(id));
  assert.notEqual(deleted.code, ResultCode.RESULT_CODE_OK);
  assert.match(deleted.message, /owner/);
}

test('bad input is refused and loses nothing', async (t) => {
  await using lab = await Lab.create();
  const pair = await startRelayedPair(lab);
  const { gateway, relay } = pair;
  const { target } = gateway.dataplane;
  await establish(pair);
  using client = new ContractClient(target);
  const revision = await client.revision();
  await using traffic = await Traffic.start(pair, { packetsPerSecond: 2_000 });
  await traffic.flows();

  await t.test('from the agent to the plugin', async (group) => {
    for (const [what, bad] of Object.entries(FOR_THE_PLUGIN)) {
      await group.test(what, () => assertPluginRefuses(pair, bad));
    }
  });
  await t.test('from the plugin to the agent', async (group) => {
    for (const [what, bad] of Object.entries(FOR_THE_AGENT)) {
      await group.test(what, () => assertAgentRefuses(pair, bad));
    }
  });

  const { connections } = relay;
  await t.test('from somebody else to the plugin', () =>
    assertHangsUp(createConnection(gateway.charon.pluginSocket)),
  );
  await t.test('no HTTP/2 on the gRPC socket', () => assertHangsUp(connectTo(target)));
  await t.test('requests that are no protobuf, or too large', async () => {
    using raw = new RawGrpc(target);
    await assert.rejects(raw.call(APPLY, NO_MESSAGE), /grpc-status 13/);
    await assert.rejects(raw.call(APPLY, Buffer.alloc(8 << 20)), /grpc-status 8/);
    assert.deepEqual([...(await raw.call('/grpc.health.v1.Health/Check', Buffer.alloc(0)))], [8, 1]);
  });
  await t.test('operations with values out of range', () => assertOutOfRangeIsRefused(pair));
  await t.test('operations of another owner on the SAs in use', () => assertForeignHandsOff(pair));

  assert.equal(relay.connections, connections);
  assert.equal(await client.revision(), revision);
  const { totals } = await statusOf(gateway);
  assert.deepEqual([totals.failed, totals.unknown], [0, 0]);
  await traffic.flows();
  await traffic.assertComplete();
  await assertSettled(pair, 1);
});
