import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSameSas,
  assertSettled,
  establish,
  eventually,
  type GatewayPair,
  IKE_NAME,
  ikeSas,
  Lab,
  type Peer,
  type Settings,
  startGatewayPair,
  Traffic,
} from '../support/index.ts';

const PACKETS_PER_SECOND = 2_000;

/** Runs what replaces the only IKE_SA, and returns when both ends have another one and no other. */
async function replacingIkeSa({ ours, peer }: GatewayPair, replace: () => Promise<unknown>): Promise<void> {
  const [before] = await ikeSas(ours);
  await replace();
  await eventually('both ends have only a new IKE_SA', async () => {
    const [own, others] = await Promise.all([ikeSas(ours), ikeSas(peer)]);
    return own.length === 1 && own[0] !== before && others.length === 1 && others[0] === own[0];
  });
}

function reauthenticate({ swanctl }: Peer): Promise<unknown> {
  return swanctl.run(['--rekey', '--ike', IKE_NAME, '--reauth']);
}

async function startUnderTraffic(
  lab: Lab,
  extra: Settings,
): Promise<{ readonly pair: GatewayPair; readonly traffic: Traffic }> {
  const pair = await startGatewayPair(lab, { extra });
  await establish(pair);
  const traffic = lab.use(await Traffic.start(pair, { packetsPerSecond: PACKETS_PER_SECOND }));
  await traffic.flows();
  return { pair, traffic };
}

/**
 * The responder of IKE_AUTH sends on the new CHILD_SA before its answer has told the initiator of it: what
 * arrives earlier than the answer is lost, in one go. The initiator loses nothing.
 */
for (const initiator of ['ours', 'peer'] as const) {
  test(`an IKE_SA that ${initiator} reauthenticates, made before it is broken: its initiator loses no packet`, async () => {
    await using lab = await Lab.create();
    const { pair, traffic } = await startUnderTraffic(lab, { make_before_break: true });
    await replacingIkeSa(pair, () => reauthenticate(pair[initiator]));
    await traffic.flows();
    const [there, back] = await traffic.finish();
    const [own, others] = initiator === 'ours' ? [there, back] : [back, there];
    assert.deepEqual([own.lost, own.duplicates], [0, 0], JSON.stringify(own));
    assert(others.gaps.length <= 1 && others.duplicates === 0, JSON.stringify(others));
    await assertSettled(pair, 1);
  });
}

test('an IKE_SA that is broken before it is reauthenticated loses packets in between alone', async () => {
  await using lab = await Lab.create();
  const { pair, traffic } = await startUnderTraffic(lab, { make_before_break: false });
  await replacingIkeSa(pair, () => reauthenticate(pair.ours));
  await traffic.flows(PACKETS_PER_SECOND);
  for (const report of await traffic.finish()) {
    assert(report.gaps.length <= 1 && report.duplicates === 0, JSON.stringify(report));
  }
  await assertSettled(pair, 1);
});

test('both ends rekey the IKE_SA at once: one exchange wins, no packet is lost', async () => {
  await using lab = await Lab.create();
  const { pair, traffic } = await startUnderTraffic(lab, {});
  const ends = [pair.ours, pair.peer];
  await replacingIkeSa(pair, () => Promise.all(ends.map(({ swanctl }) => swanctl.rekey({ ike: IKE_NAME }))));
  await traffic.flows();
  await traffic.assertComplete();
  await assertSameSas(pair.ours, pair.peer, { count: 1 });
});
