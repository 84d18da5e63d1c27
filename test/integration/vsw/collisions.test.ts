import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { MessageType } from '../../support/fake-lagopus/pfkey-wire.ts';
import { slotOf } from '../../support/fake-lagopus/slots.ts';
import { CHILD_NAME, eventually, IKE_NAME, Lab } from '../../support/index.ts';
import { AgentProcess } from '../../support/product-processes.ts';
import { driverTarget, pfkeyPathOf, type RouterGateway } from '../../support/router-gateway.ts';
import { ends, keyOf, lifetimes, PfkeyPeer, saOf } from '../../vsw-fake/pfkey-peer.ts';
import { assertCharonsKeys, assertSafe, type RouterPair, startRouterPair } from './router-pair.ts';
import { establishRouterTunnel, loadRouterTunnel } from './tunnels.ts';

/** So few slots are left that an SPI of the peer's choice falls into a taken one 19 times of 20. */
const FREE = 7;
/** The survey of the slots, and a repeated setup's back-off. */
const RETRY_MS = 40_000;
const COLLISION = /falls into the slot of SA [0-9a-f]{8}/g;

/** An operator's SAs in most of a router's slots. */
class Crowd implements Disposable {
  readonly spis: readonly number[];
  readonly #peer: PfkeyPeer;
  readonly #ends = ends('198.18.200.1', '198.18.200.2');

  private constructor(peer: PfkeyPeer, spis: readonly number[]) {
    this.#peer = peer;
    this.spis = spis;
  }

  static async enter({ site, driver }: RouterGateway): Promise<Crowd> {
    const bySlot = new Map<number, number>();
    for (let spi = 0x10000000; bySlot.size < 127 - FREE; spi += 1) {
      if (!bySlot.has(slotOf(spi))) bySlot.set(slotOf(spi), spi);
    }
    const crowd = new Crowd(await PfkeyPeer.connect(pfkeyPathOf(site, 'vrf1')), [...bySlot.values()]);
    for (const spi of crowd.spis) {
      const added = await crowd.#peer.ask(MessageType.ADD, [
        ...[saOf(spi), ...crowd.#ends, keyOf(20)],
        ...lifetimes(),
      ]);
      assert.equal(added.header.errno, 0);
    }
    await eventually('the driver knows', async () => (await driver.log()).includes('left alone'), {
      timeoutMs: 10_000,
    });
    // What was listed before the last was added is listed again.
    await setTimeout(3_000);
    return crowd;
  }

  async leave(): Promise<void> {
    for (const spi of this.spis) await this.#peer.ask(MessageType.DELETE, [saOf(spi), ...this.#ends]);
  }

  [Symbol.dispose](): void {
    this.#peer[Symbol.dispose]();
  }
}

async function collisions({ charon }: RouterGateway): Promise<number> {
  return (await charon.log()).match(COLLISION)?.length ?? 0;
}

/** Has `initiator` set the tunnel up until `crowded` refused the SPI its peer chose: mostly the first time. */
async function collide({ left, right }: RouterPair, initiator: RouterGateway, crowded: RouterGateway) {
  for (let attempt = 0; attempt < 4 && (await collisions(crowded)) === 0; attempt += 1) {
    await initiator.charon.swanctl.terminate({ ike: IKE_NAME }).catch(() => undefined);
    await eventually('nothing is left', () => right.vsw.sas().length === 0 && left.vsw.sas().length <= 120);
    await initiator.charon.swanctl.initiate(CHILD_NAME).catch(() => undefined);
    await setTimeout(500);
  }
  assert.notEqual(await collisions(crowded), 0, 'the reason is in charon’s log');
}

for (const role of ['initiator', 'responder'] as const) {
  test(`an SPI the peer chose that collides is refused with its reason, as ${role}, and tried again`, async () => {
    await using lab = await Lab.create();
    const pair = await startRouterPair(lab);
    const { left, right } = pair;
    using crowd = await Crowd.enter(left);
    await loadRouterTunnel(pair);
    await collide(pair, role === 'initiator' ? left : right, left);
    assert.deepEqual(
      left.vsw
        .sas()
        .map(({ spi }) => spi)
        .filter((spi) => crowd.spis.includes(spi))
        .sort(),
      [...crowd.spis].sort(),
      'nothing was displaced',
    );
    await setTimeout(10_000);
    const tries = await collisions(left);
    assert(tries <= 12, `tries are bounded: ${tries}`);
    await crowd.leave();
    await assertCharonsKeys(pair, 1, RETRY_MS);
    assertSafe(pair);
  });
}

test('a second agent on one router is refused, and the first one goes on', async () => {
  await using lab = await Lab.create();
  const pair = await startRouterPair(lab);
  await establishRouterTunnel(pair);
  const { left, right } = pair;
  await right.agent.process.kill();
  await using second = await AgentProcess.start({
    namespace: right.site.namespace,
    dir: join(right.site.dir, 'second'),
    pluginSocket: right.charon.pluginSocket,
    viciUri: right.charon.viciUri,
    dataplaneTarget: driverTarget(left.site),
  });
  await eventually(
    'the reason',
    async () => /writes for owner \\?"charon\\?" and is connected: stop it/.test(await second.process.log()),
    { timeoutMs: 15_000 },
  );
  await second.process.kill();
  await right.restartAgent();
  await left.agent.waitReady();
  await assertCharonsKeys(pair, 1);
  assertSafe(pair);
});
