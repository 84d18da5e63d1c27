import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSameSas,
  CHILD_NAME,
  establish,
  Lab,
  type Peer,
  type PeerKind,
  rekeyChild,
  rekeyIke,
  replacingChildSa,
  type Scene,
  startScene,
  Traffic,
} from '../support/index.ts';

const PACKETS_PER_SECOND = 2_000;

type Case = {
  readonly peer: PeerKind;
  readonly packetsPerSecond: number;
  readonly isEncapsulated: boolean;
  /**
   * The peer drops its old inbound SA at once when it learns that it is replaced. Only the kernel is asked
   * to: kernel-libipsec then loses what still waits in its own queue.
   */
  readonly isHasty: boolean;
};

const CASES: readonly Case[] = [
  { peer: 'kernel', packetsPerSecond: 2_000, isEncapsulated: false, isHasty: false },
  { peer: 'kernel', packetsPerSecond: 2_000, isEncapsulated: true, isHasty: true },
  { peer: 'libipsec', packetsPerSecond: 2_000, isEncapsulated: true, isHasty: false },
  { peer: 'lagopus', packetsPerSecond: 10_000, isEncapsulated: false, isHasty: false },
];

function startCase(lab: Lab, { peer, isHasty }: Case): Promise<Scene> {
  return startScene(lab, {
    peer,
    ...(isHasty ? { peerOptions: { extra: { delete_rekeyed_delay: 0 } } } : {}),
  });
}

/** Each end rekeys in turn, with packets on the new SA before the next. */
async function takeTurns(
  { ours, peer }: Scene,
  traffic: Traffic,
  rekey: (self: Peer, other: Peer) => Promise<void>,
): Promise<void> {
  for (const [self, other] of [
    [ours, peer],
    [peer, ours],
  ] as const) {
    await rekey(self, other);
    await traffic.flows();
  }
}

/** Both ends rekey at once: the SAs of one of the two exchanges stay. */
async function collide({ ours, peer }: Scene, traffic: Traffic): Promise<void> {
  const ends = [ours, peer] as const;
  await replacingChildSa(ends, () =>
    Promise.all(ends.map(({ swanctl }) => swanctl.rekey({ child: CHILD_NAME }))),
  );
  await traffic.flows();
}

for (const tunnel of CASES) {
  const { peer, packetsPerSecond, isEncapsulated, isHasty } = tunnel;
  const who = `${isHasty ? 'hasty ' : ''}${peer}, ${packetsPerSecond} packets/s`;
  test(`IKEv2 rekeys from both ends lose nothing: ${who}`, async () => {
    await using lab = await Lab.create();
    const scene = await startCase(lab, tunnel);
    await establish(scene, { isEncapsulated });
    await using traffic = await Traffic.start(scene, { packetsPerSecond });
    await traffic.flows();
    await takeTurns(scene, traffic, rekeyChild);
    await takeTurns(scene, traffic, rekeyIke);
    await collide(scene, traffic);
    await traffic.assertComplete();
    await assertSameSas(scene.ours, scene.peer, { count: 1 });
  });
}

/**
 * The initiator of an IKEv1 rekey sends on the new SA before its last message has left; the responder
 * takes the SA in use when it has read that message.
 */
const IKEV1_GAP_MS = 50;

for (const peer of ['kernel', 'libipsec'] as const) {
  test(`IKEv1 rekeys lose nothing but what the protocol does: ${peer}`, async () => {
    await using lab = await Lab.create();
    const scene = await startScene(lab, { peer });
    await establish(scene, { ikeVersion: 1, isEncapsulated: true });
    await using traffic = await Traffic.start(scene, { packetsPerSecond: PACKETS_PER_SECOND });
    await traffic.flows();
    for (const self of ['ours', 'peer'] as const) {
      await rekeyChild(scene[self], scene[self === 'ours' ? 'peer' : 'ours']);
      await traffic.flows();
    }
    for (const report of await traffic.finish()) {
      const { lost, duplicates, gaps } = report;
      const isShort = gaps.length <= 1 && lost <= (PACKETS_PER_SECOND * IKEV1_GAP_MS) / 1_000;
      assert(isShort && duplicates === 0, JSON.stringify(report));
    }
    // IKEv1's replaced SAs stay, to receive, until they expire.
    await assertSameSas(scene.ours, scene.peer, { count: 3 });
  });
}
