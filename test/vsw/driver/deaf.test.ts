import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { slotOf } from '../../../src/vsw/slots/index.ts';
import { eventually } from '../../support/index.ts';
import { deleteSa, Rig, refusal, samplePolicy, sampleSa } from './rig.ts';

const IN = 0xc0000001;
const OUT = 0x11111111;
/** In slots of their own, all four of them. */
const [NEXT_IN, NEXT_OUT] = [0xc0000002, 0x11111112];
const inner = { source: '198.19.1.1', destination: '198.19.2.1' };

const inbound = { direction: 'inbound', spi: IN } as const;
const outbound = { direction: 'outbound', spi: OUT } as const;
const nextIn = { ...inbound, spi: NEXT_IN };
const nextOut = { ...outbound, spi: NEXT_OUT };

async function tunnel(rig: Rig): Promise<void> {
  await rig.client.must(sampleSa(inbound), sampleSa(outbound));
  await rig.client.must(samplePolicy(inbound), samplePolicy(outbound));
}

const spis = (rig: Rig): readonly number[] =>
  rig.vsw
    .sas()
    .map(({ spi }) => spi)
    .sort();

/** The SPI of a packet into the tunnel; why there is none. */
function sentSpi(rig: Rig): number | string {
  const sent = rig.vsw.vrf('vrf1').forwarding.send(inner);
  if (sent.kind === 'esp') return sent.packet.spi;
  return sent.kind === 'dropped' ? sent.reason : sent.kind;
}

/** Whether a packet of the peer's under an inbound SA comes through. */
function receives(rig: Rig, spi: number): boolean {
  const values = rig.vsw.sas().find((sa) => sa.spi === spi)?.values;
  if (values === undefined) return false;
  const key = values.encryptionKey.toString('hex') + values.integrityKey.toString('hex');
  const received = rig.vsw.vrf('vrf1').forwarding.receive({
    ...{ spi, key, sequence: 1, source: values.local, destination: values.remote },
    inner: { source: inner.destination, destination: inner.source },
  });
  return received.kind === 'delivered';
}

/** As charon does it, with packets all the while; what was lost of them. */
async function rekeyed(rig: Rig): Promise<readonly (number | string)[]> {
  const lost: (number | string)[] = [];
  const packets = setInterval(() => {
    const spi = sentSpi(rig);
    if (spi !== OUT && spi !== NEXT_OUT) lost.push(spi);
    if (!receives(rig, IN) && !receives(rig, NEXT_IN)) lost.push('inbound');
  }, 20);
  await rig.client.must(sampleSa(nextIn));
  assert.ok(receives(rig, NEXT_IN), 'works when it is answered');
  await rig.client.must(sampleSa(nextOut));
  await rig.client.must(samplePolicy(nextIn), samplePolicy(nextOut));
  assert.equal(sentSpi(rig), NEXT_OUT);
  await rig.client.must(deleteSa(outbound), deleteSa(inbound));
  clearInterval(packets);
  return lost;
}

describe('a vsw that is deaf', () => {
  it('is kept in sync through PF_KEY after a restart of the driver, under the same boot', async () => {
    await using rig = await Rig.start();
    const before = await rig.client.capabilities();
    await tunnel(rig);
    await rig.restartDriver();
    assert.ok(rig.said.some((line) => line.includes('stopping: vsw is deaf from now on')));
    await rig.acquire();
    const after = await rig.client.capabilities();
    assert.deepEqual(after, before, 'nothing that a client would have to note');
    assert.equal(rig.driver.status.isDeaf, true);
    const { notes } = await rig.client.status();
    assert.match(notes.join(), /^vsw is deaf \(never-subscribed\): .*SAs go through PF_KEY; restart it/);
    const sas = await rig.client.sas({ fingerprintNonce: Buffer.alloc(16, 1) });
    assert.deepEqual(sas.map(({ sa }) => sa?.id?.spi).sort(), [IN, OUT].sort());
    assert.ok(
      sas.every(({ keyFingerprint }) => keyFingerprint.length > 0),
      'with the keys vsw has',
    );
    assert.equal((await rig.client.policies()).length, 2);
    assert.deepEqual(await rekeyed(rig), []);
    assert.deepEqual(spis(rig), [NEXT_IN, NEXT_OUT].sort());
    assert.deepEqual(rig.vsw.nonces.reused, []);
    assert.equal(rig.vsw.crash, undefined);
  });

  it('is found out when only its stream ended', async () => {
    await using rig = await Rig.start();
    const before = await rig.client.capabilities();
    await tunnel(rig);
    rig.vsw.cutStream();
    await eventually('noticed', () => rig.driver.status.problem !== undefined);
    await rig.acquire();
    assert.deepEqual((await rig.client.capabilities()).bootId, before.bootId);
    assert.deepEqual(await rekeyed(rig), []);
    assert.deepEqual(rig.vsw.nonces.reused, []);
  });

  it('does not hear what is configured, and is not taken for one that does', async () => {
    await using rig = await Rig.start();
    const before = await rig.client.capabilities();
    await tunnel(rig);
    rig.vsw.cutStream();
    await eventually('noticed', () => rig.driver.status.problem !== undefined);
    await rig.acquire();
    const answer = await rig.openconfigd.operate([
      'set network-instances network-instance vrf2 config type L3VRF',
    ]);
    assert.equal(answer, '');
    await sleep(200);
    assert.equal(rig.driver.status.relay?.vsw, 'lost');
    assert.equal(rig.driver.status.isDeaf, true);
    assert.deepEqual((await rig.client.capabilities()).bootId, before.bootId);
    assert.equal((await rig.client.sas()).length, 2);
    await rig.vsw.restart();
    await eventually('it listens', () => rig.driver.status.relay?.vsw === 'ready');
  });

  it('hears again once it was restarted, and nothing of before comes back', async () => {
    await using rig = await Rig.start();
    const before = await rig.client.capabilities();
    await tunnel(rig);
    await rig.restartDriver();
    await rig.acquire();
    await rig.vsw.restart();
    await eventually('it listens', () => rig.driver.status.relay?.vsw === 'ready');
    await rig.acquire();
    assert.equal(rig.driver.status.isDeaf, false);
    assert.notDeepEqual((await rig.client.capabilities()).bootId, before.bootId);
    assert.deepEqual([await rig.client.sas(), rig.vsw.sas()], [[], []]);
    await rig.client.must(sampleSa(nextIn), sampleSa(nextOut));
    await rig.client.must(samplePolicy(nextIn), samplePolicy(nextOut));
    assert.equal(sentSpi(rig), NEXT_OUT);
  });

  it('is another boot if nothing of ours is in it', async () => {
    await using rig = await Rig.start();
    const before = await rig.client.capabilities();
    await rig.restartDriver();
    await rig.acquire();
    assert.notDeepEqual((await rig.client.capabilities()).bootId, before.bootId);
    await tunnel(rig);
    await eventually('packets pass', () => sentSpi(rig) === OUT && receives(rig, IN));
  });

  it('still has one slot for both directions', async () => {
    await using rig = await Rig.start();
    await tunnel(rig);
    await rig.restartDriver();
    await rig.acquire();
    let spi = IN + 1;
    while (slotOf(spi) !== slotOf(IN)) spi += 1;
    assert.equal(refusal(await rig.client.one(sampleSa({ ...outbound, spi })))[0], 'SPI_COLLISION');
  });

  it('rekeys each of two CHILD_SAs between the same gateways', async () => {
    await using rig = await Rig.start();
    const second = { direction: 'outbound', spi: 0x22222222, network: '198.19.3.0/24' } as const;
    await tunnel(rig);
    await rig.client.must(sampleSa(second), samplePolicy(second));
    await rig.restartDriver();
    await rig.acquire();
    const to = (destination: string): number | string => {
      const sent = rig.vsw.vrf('vrf1').forwarding.send({ source: inner.source, destination });
      return sent.kind === 'esp' ? sent.packet.spi : sent.kind;
    };
    await rig.client.must(sampleSa(nextOut));
    await rig.client.must(samplePolicy(nextOut));
    assert.deepEqual([to('198.19.2.1'), to('198.19.3.1')], [NEXT_OUT, second.spi]);
    const next = { ...second, spi: 0x22222224 };
    await rig.client.must(sampleSa(next));
    await rig.client.must(samplePolicy(next));
    assert.deepEqual([to('198.19.2.1'), to('198.19.3.1')], [NEXT_OUT, next.spi]);
  });
});
