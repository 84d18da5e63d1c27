import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { Direction, ExpiryReason, type Lifetime, type Sa, type SaState } from '../../../src/proto/index.ts';
import { EventWatcher } from '../../dataplane/event-watcher.ts';
import { type ManualEnd, ManualTunnel } from '../../dataplane/manual-tunnel.ts';
import { address, saId } from '../../dataplane/samples.ts';
import { Lab, PacketFlow } from '../../support/index.ts';

/** The SPI of the SA from left to right. */
const SPI = 0xc0000001;
const IS_OUTBOUND = { left: true, right: false } as const;

function endOf({ site }: ManualEnd): { namespace: typeof site.namespace; address: string } {
  return { namespace: site.namespace, address: site.inner };
}

/** One end's half of the SA from left to right. */
async function stateOf({ client }: ManualEnd): Promise<SaState | undefined> {
  return (await client.sas()).find(({ sa }) => sa?.id?.spi === SPI);
}

/** A packet of ping's: IPv4 header, ICMP header and 56 bytes. */
const PING_BYTES = 84n;

describe('the state of an SA', () => {
  it('starts at the initial sequence number it was given, on the wire', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, { left: { initialSequence: 1_000_000n } });
    await tunnel.ping(3);
    assert.equal((await stateOf(tunnel.left))?.nextSequence, 1_000_003n);
    const { replayState } = (await stateOf(tunnel.right)) ?? {};
    assert.equal(replayState?.highestSequence, 1_000_002n);
    assert.deepEqual(replayState?.bitmap, Buffer.of(0b111, 0, 0, 0));
  });

  it('goes up to the last sequence number, and no further', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, { left: { initialSequence: 2n ** 32n - 3n } });
    using watcher = new EventWatcher(tunnel.left.client);
    await watcher.next();
    await tunnel.ping(3);
    assert.equal((await stateOf(tunnel.right))?.replayState?.highestSequence, 2n ** 32n - 1n);
    await assert.rejects(tunnel.ping(2));
    const { sequenceOverflow } = await watcher.next();
    assert.equal(sequenceOverflow?.id?.spi, SPI);
    assert.equal((await stateOf(tunnel.right))?.counters?.packets, 3n);
  });

  it('has 64 bits of sequence number with ESN, from one subspace into the next', async () => {
    const first = 5n * 2n ** 32n - 2n;
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, {
      left: { esn: true, initialSequence: first },
      right: { esn: true, replayState: { highestSequence: first - 1n, bitmap: Buffer.alloc(0) } },
    });
    await tunnel.ping(4);
    assert.equal((await stateOf(tunnel.left))?.nextSequence, first + 4n);
    const { replayState, counters } = (await stateOf(tunnel.right)) ?? {};
    assert.equal(replayState?.highestSequence, first + 3n);
    // What is older than the state it began with counts as received.
    assert.deepEqual(replayState?.bitmap, Buffer.alloc(4, 0xff));
    assert.deepEqual([counters?.packets, counters?.integrityFailures], [4n, 0n]);
  });

  it('goes up to 2^64-1 with ESN, and no further', async () => {
    const last = 2n ** 64n - 1n;
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, {
      left: { esn: true, initialSequence: last - 1n },
      right: { esn: true, replayState: { highestSequence: last - 2n, bitmap: Buffer.alloc(0) } },
    });
    using watcher = new EventWatcher(tunnel.left.client);
    await watcher.next();
    await tunnel.ping(2);
    assert.equal((await stateOf(tunnel.right))?.replayState?.highestSequence, last);
    await assert.rejects(tunnel.ping(1));
    assert.equal((await watcher.next()).sequenceOverflow?.id?.spi, SPI);
  });

  for (const [tfc, outerBytes] of [
    [600, 600 + 56],
    // The TUN device's MTU.
    [0xffffffff, 1400 + 56],
  ] as const) {
    it(`pads every packet to one length: tfc ${tfc}`, async () => {
      await using lab = await Lab.create();
      using tunnel = await ManualTunnel.start(lab, { left: { tfc } });
      const { namespace } = tunnel.right.site;
      await using capture = namespace.spawn({
        name: 'tcpdump',
        argv: ['tcpdump', '-lnni', 'any', '-Q', 'in', 'esp'],
        logPath: `${lab.dir}/tcpdump.log`,
      });
      const read = (): Promise<string> => readFile(`${lab.dir}/tcpdump.log`, 'utf8');
      await capture.waitFor('it listens', async () => /listening on/.test(await read()));
      await tunnel.ping(2);
      // Outer header, SPI and sequence number, IV, trailer with two bytes of padding, ICV; tcpdump leaves out the first.
      const expected = new RegExp(`length ${outerBytes - 20}$`);
      await capture.waitFor(
        'both are seen',
        async () => (await read()).split('\n').filter((line) => expected.test(line)).length === 2,
      );
      assert.equal((await stateOf(tunnel.right))?.counters?.bytes, 2n * PING_BYTES);
    });
  }

  for (const end of ['left', 'right'] as const) {
    for (const unit of ['packets', 'bytes'] as const) {
      const direction = IS_OUTBOUND[end] ? 'outbound' : 'inbound';
      it(`ends at its limits in ${unit}: ${direction}`, async () => {
        await using lab = await Lab.create();
        const limit = (pings: bigint): Lifetime => ({
          ...{ seconds: 0n, packets: 0n, bytes: 0n },
          [unit]: unit === 'bytes' ? pings * PING_BYTES : pings,
        });
        const change: Partial<Sa> = { softLifetime: limit(3n), hardLifetime: limit(6n), reqid: 7 };
        using tunnel = await ManualTunnel.start(lab, { [end]: change });
        const { client } = tunnel[end];
        using watcher = new EventWatcher(client);
        await watcher.next();
        await tunnel.ping(2);
        assert.ok(await stateOf(tunnel[end]));
        await tunnel.ping(3);
        const soft = (await watcher.next()).expire;
        assert.deepEqual([soft?.hard, soft?.id?.spi, soft?.reqid], [false, SPI, 7]);
        assert.ok(await stateOf(tunnel[end]));
        await tunnel.ping(1);
        const hard = (await watcher.next()).expire;
        assert.deepEqual([hard?.hard, hard?.id?.spi, hard?.counters?.packets], [true, SPI, 6n]);
        for (const expiry of [soft, hard]) {
          const { EXPIRY_REASON_PACKETS, EXPIRY_REASON_BYTES } = ExpiryReason;
          assert.equal(expiry?.reason, unit === 'packets' ? EXPIRY_REASON_PACKETS : EXPIRY_REASON_BYTES);
        }
        assert.equal(await stateOf(tunnel[end]), undefined);
        await assert.rejects(tunnel.ping(2));
      });
    }
  }

  it('stays when the SA moves under traffic: sequence, replay window, counters, limits and age', async () => {
    await using lab = await Lab.create();
    const COUNT = 1_000;
    const softLifetime = { seconds: 0n, bytes: 0n, packets: BigInt(COUNT) };
    using tunnel = await ManualTunnel.start(lab, { left: { softLifetime }, right: { softLifetime } });
    const { left, right } = tunnel;
    const watchers = [left, right].map(({ client }) => new EventWatcher(client));
    for (const watcher of watchers) await watcher.next();
    await using flow = await PacketFlow.start({
      ...{ from: endOf(left), to: endOf(right), dir: lab.dir },
      ...{ packetsPerSecond: 1_000, count: COUNT },
    });
    // There, and back again: a moved SA moves like any other.
    const places = [right.site.outer, '198.18.0.22'] as const;
    await right.site.namespace.addAddress('eth0', `${places[1]}/24`);
    for (const [from, to] of [places, places.toReversed()] as const) {
      assert(from !== undefined && to !== undefined);
      const { received } = await flow.received();
      await flow.waitReceived(received + 100);
      for (const end of [right, left]) await assertMoves(end, from, to);
    }
    const { lost, duplicates } = await flow.finish();
    // What is under way to the old address when the inbound SA goes finds none there.
    assert(lost < 100 && duplicates === 0, `${lost} lost, ${duplicates} twice`);
    assert.equal((await stateOf(left))?.nextSequence, BigInt(COUNT + 1));
    const state = await stateOf(right);
    assert.equal(state?.replayState?.highestSequence, BigInt(COUNT));
    assert.equal(state?.counters?.packets, BigInt(COUNT - lost));
    const expired = (await watchers[0]?.next())?.expire;
    assert.deepEqual([expired?.hard, expired?.counters?.packets], [false, BigInt(COUNT)]);
    for (const watcher of watchers) watcher[Symbol.dispose]();
  });
});

/** Moves one half of the SA; nothing of it starts anew. */
async function assertMoves(end: ManualEnd, from: string, to: string): Promise<void> {
  const before = await stateOf(end);
  const isOutbound = IS_OUTBOUND[end.site.name];
  const direction = isOutbound ? Direction.DIRECTION_OUTBOUND : Direction.DIRECTION_INBOUND;
  await end.client.must({
    updateSa: {
      id: saId(direction, SPI, from),
      newSource: address('198.18.0.1'),
      newDestination: address(to),
      newUdpEncapsulation: undefined,
      newReqid: 0,
    },
  });
  const after = await stateOf(end);
  assert(before !== undefined && after !== undefined);
  assert.deepEqual(after.sa?.id?.destination, address(to));
  assert(after.ageMs >= before.ageMs);
  assert((after.counters?.packets ?? 0n) >= (before.counters?.packets ?? 1n));
  assert((after.counters?.bytes ?? 0n) >= (before.counters?.bytes ?? 1n));
  assert(after.nextSequence >= before.nextSequence);
  const highest = (state: SaState): bigint => state.replayState?.highestSequence ?? 0n;
  assert(highest(after) >= highest(before));
  assert.equal(highest(after) > 0n, !isOutbound);
  assert.equal(after.nextSequence > 1n, isOutbound);
}
