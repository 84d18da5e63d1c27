import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSameSas,
  establish,
  eventually,
  Lab,
  type PacketEnd,
  PacketFlow,
  type Peer,
  rekeyChild,
  rekeyIke,
  type Scene,
  sadOf,
  startScene,
  Traffic,
} from '../support/index.ts';

/** More than any gateway here takes: the sender's limit is the machine. */
const FLOOD = { packetsPerSecond: 1_000_000, sizeBytes: 1_000 };

const DPDS = 2;

function hostOf({ site: { namespace, inner } }: Peer): PacketEnd {
  return { namespace, address: inner };
}

async function assertDpdUnderFlood(lab: Lab, self: Peer, other: Peer): Promise<void> {
  await using flood = await PacketFlow.start({
    ...FLOOD,
    from: hostOf(self),
    to: hostOf(other),
    dir: lab.dir,
  });
  const [logged, loggedByOther] = [(await self.charonLog()).length, (await other.charonLog()).length];
  const sinceThen = async (): Promise<string> => (await self.charonLog()).slice(logged);
  await eventually(
    'liveness was asked for and answered',
    async () => {
      const log = await sinceThen();
      const asked = log.match(/sending DPD request/g)?.length ?? 0;
      const answered = log.match(/parsed INFORMATIONAL response/g)?.length ?? 0;
      return asked >= DPDS && answered >= DPDS;
    },
    { timeoutMs: 20_000, intervalMs: 200 },
  );
  assert.doesNotMatch(await sinceThen(), /retransmit/);
  assert.doesNotMatch((await other.charonLog()).slice(loggedByOther), /sending DPD request/);
  assert((await flood.received()).received > 10_000);
}

test('DPD is answered by an end that is flooded with ESP in UDP', async (t) => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  await establish(scene, { isEncapsulated: true, connection: { dpd_delay: '3s' } });
  // Whoever receives nothing asks; packets received tell that the peer lives.
  await t.test('we ask', () => assertDpdUnderFlood(lab, scene.ours, scene.peer));
  await t.test('the peer asks', () => assertDpdUnderFlood(lab, scene.peer, scene.ours));
  await assertSameSas(scene.ours, scene.peer, { count: 1 });
});

test('IKE_SA and CHILD_SA rekeys succeed while ESP in UDP floods both ways', async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'lagopus' });
  await establish(scene, { isEncapsulated: true });
  await using flood = await Traffic.start(scene, FLOOD);
  await flood.flows(1_000);
  for (const [self, other] of [
    [scene.ours, scene.peer],
    [scene.peer, scene.ours],
  ] as const) {
    await rekeyIke(self, other);
    await rekeyChild(self, other);
    await flood.flows(1_000);
  }
  for (const end of [scene.ours, scene.peer]) assert.doesNotMatch(await end.charonLog(), /retransmit/);
  await flood.finish();
  await assertSameSas(scene.ours, scene.peer, { count: 1 });
});

type Counts = {
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
};

async function countsOfCharon({ ours }: Scene): Promise<Counts> {
  const [sa, ...others] = await ours.swanctl.childSas();
  assert(sa !== undefined && others.length === 0);
  const { packetsIn, packetsOut, bytesIn, bytesOut } = sa;
  return { packetsIn, packetsOut, bytesIn, bytesOut };
}

async function countsOfDataplane({ gateway }: Scene): Promise<Counts> {
  const { sas } = await sadOf(gateway);
  const inbound = sas.find(({ direction }) => direction === 'inbound');
  const outbound = sas.find(({ direction }) => direction === 'outbound');
  return {
    packetsIn: Number(inbound?.packets),
    packetsOut: Number(outbound?.packets),
    bytesIn: Number(inbound?.bytes),
    bytesOut: Number(outbound?.bytes),
  };
}

const USAGE_INTERVAL_MS = 200;

test("charon's counters follow the dataplane's, and equal them at rest", async () => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, {
    peer: 'kernel',
    ours: { agentOverrides: { usageIntervalMs: USAGE_INTERVAL_MS } },
  });
  await establish(scene);
  await using traffic = await Traffic.start(scene, { packetsPerSecond: 2_000, sizeBytes: 500 });
  await traffic.flows();
  for (let looks = 0; looks < 3; looks += 1) {
    const before = await countsOfDataplane(scene);
    // Whatever the dataplane had an interval ago, charon has now.
    await traffic.flows((2_000 * 2 * USAGE_INTERVAL_MS) / 1_000);
    const charon = await countsOfCharon(scene);
    const after = await countsOfDataplane(scene);
    for (const key of ['packetsIn', 'packetsOut', 'bytesIn', 'bytesOut'] as const) {
      assert(charon[key] >= before[key] && charon[key] <= after[key], `${key}: ${charon[key]}`);
    }
  }
  const [there, back] = await traffic.finish();
  const expected = await countsOfDataplane(scene);
  assert.deepEqual([expected.packetsOut, expected.packetsIn], [there.sent, back.received]);
  await eventually(
    'charon has them',
    async () => {
      assert.deepEqual(await countsOfCharon(scene), expected);
      return true;
    },
    { timeoutMs: 2_000 },
  );
  const [peer] = await scene.peer.swanctl.childSas();
  assert.deepEqual([peer?.packetsIn, peer?.packetsOut], [expected.packetsOut, expected.packetsIn]);
  assert.deepEqual([peer?.bytesIn, peer?.bytesOut], [expected.bytesOut, expected.bytesIn]);
});
