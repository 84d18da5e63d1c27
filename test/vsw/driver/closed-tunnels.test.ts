import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatVswStatus } from '../../../src/vsw/index.ts';
import { eventually } from '../../support/index.ts';
import { Rig, type RigOptions, refusal, samplePolicy, sampleSa } from './rig.ts';

/** Without a relay a later openconfigd waits 20 s for what vsw never sends. */
const DIRECT: RigOptions = {
  via: 'pfkey',
  openconfigd: { release: '0.8.1' },
  vsw: { numbering: '0.8.2' },
};

const inner = { source: '198.19.1.9', destination: '198.19.2.9' };

function send(rig: Rig): string {
  const sent = rig.vsw.vrf('vrf1').forwarding.send(inner);
  return sent.kind === 'dropped' ? sent.reason : sent.kind;
}

const out = { direction: 'outbound', spi: 0x1001 } as const;

for (const via of ['relay', 'pfkey'] as const) {
  describe(`tunnel interfaces behind the relay, via: ${via}`, () => {
    it('are closed until an agent is in sync, and pass packets from then on', async () => {
      await using rig = await Rig.start({ via, isRelayed: true, isInSync: false });
      assert.equal((await rig.client.capabilities()).waitsForInSync, true);
      await rig.client.must(sampleSa(out));
      await rig.client.must(samplePolicy(out));
      await rig.vsw.applied();
      assert.equal(send(rig), 'closed');
      assert.deepEqual(rig.driver.status.relay?.heldTunnels, ['tif0']);
      const { notes } = await rig.client.status();
      assert.deepEqual(notes, ['tunnel interfaces closed until an agent is in sync: tif0']);
      await rig.client.reportInSync();
      await eventually('the interface is open', () => send(rig) === 'esp');
      assert.deepEqual((await rig.client.status()).notes, []);
    });

    it('take inbound SAs while they are closed, though vsw does not tick before', async () => {
      await using rig = await Rig.start({ via, isRelayed: true, isInSync: false });
      const inbound = { direction: 'inbound', spi: 0x2001 } as const;
      await rig.client.must(sampleSa(inbound), samplePolicy(inbound));
      assert.deepEqual(rig.vsw.matureSpis('vrf1'), []);
      await rig.client.reportInSync();
      await eventually('mature', () => rig.vsw.matureSpis('vrf1').includes(0x2001));
    });

    it('are closed again in a vsw that has restarted', async () => {
      await using rig = await Rig.start({ via, isRelayed: true, isInSync: false });
      await rig.client.reportInSync();
      await eventually('open', () => send(rig) !== 'closed');
      await rig.vsw.restart();
      await rig.acquire();
      await rig.vsw.applied();
      assert.equal(send(rig), 'closed');
      await rig.client.reportInSync();
      await eventually('open again', () => send(rig) !== 'closed');
    });

    it('are not opened by a writer that another one has fenced', async () => {
      await using rig = await Rig.start({ via, isRelayed: true, isInSync: false });
      rig.client.epoch -= 1n;
      await assert.rejects(rig.client.reportInSync(), /fenced/);
      await rig.vsw.applied();
      assert.equal(send(rig), 'closed');
    });
  });
}

describe('tunnel interfaces of a vsw that is deaf before they were opened', () => {
  it('stay closed, and nobody says anything else', async () => {
    await using rig = await Rig.start({ isInSync: false });
    await rig.client.must(sampleSa(out));
    rig.vsw.cutStream();
    await eventually('noticed', () => rig.driver.status.problem !== undefined);
    await rig.acquire();
    await rig.client.reportInSync();
    assert.equal(rig.driver.status.isDeaf, true);
    assert.deepEqual(rig.driver.status.relay?.heldTunnels, ['tif0']);
    const { notes } = await rig.client.status();
    assert.equal(notes.at(-1), 'tunnel interfaces stay closed until vsw is restarted: tif0');
    const text = formatVswStatus(JSON.stringify(rig.driver.status));
    assert.match(text, /^closed: {4}tif0, until vsw is restarted$/m);
    await rig.vsw.restart();
    await eventually('it listens', () => rig.driver.status.relay?.vsw === 'ready');
    await rig.acquire();
    await rig.client.reportInSync();
    await eventually('open', () => send(rig) !== 'closed');
  });
});

describe('what else closes', () => {
  it('nothing without a relay, and the driver says so', async () => {
    await using rig = await Rig.start(DIRECT);
    assert.equal((await rig.client.capabilities()).waitsForInSync, false);
    assert.ok(rig.said.some((line) => line.includes('nothing keeps the tunnel interfaces of vsw closed')));
  });

  it('via: pfkey with a relay keeps SAs when the driver restarts and vsw is deaf', async () => {
    await using rig = await Rig.start({ via: 'pfkey', isRelayed: true });
    await rig.client.must(sampleSa(out));
    await rig.client.must(samplePolicy(out));
    await rig.vsw.applied();
    await eventually('it forwards', () => send(rig) === 'esp');
    await rig.restartDriver();
    await rig.acquire();
    assert.equal(send(rig), 'esp');
    assert.equal((await rig.client.sas()).length, 1);
    const { notes } = await rig.client.status();
    assert.deepEqual(notes, [
      "vsw is deaf (never-subscribed): the router's configuration does not reach it; restart it when it suits",
    ]);
    const again = await rig.client.one(sampleSa({ direction: 'inbound', spi: 0x2002 }));
    assert.equal(refusal(again)[0], 'OK');
  });
});

describe('the status of the contract', () => {
  it('tells how full the slots are, and the odds of an SPI of the peer’s', async () => {
    await using rig = await Rig.start();
    const before = await rig.client.status();
    assert.deepEqual(before.spiSlots, [{ vrf: 'vrf1', direction: 0, slots: 127, used: 0, collisionOdds: 0 }]);
    await rig.client.must(sampleSa(out));
    const [slots] = (await rig.client.status()).spiSlots;
    assert.deepEqual(slots, { vrf: 'vrf1', direction: 0, slots: 127, used: 1, collisionOdds: 1 / 128 });
  });

  it('tells each direction of its own via: pfkey', async () => {
    await using rig = await Rig.start(DIRECT);
    await rig.client.must(sampleSa(out));
    const { spiSlots } = await rig.client.status();
    assert.deepEqual(
      spiSlots.map(({ direction, used }) => [direction, used]),
      [
        [1, 0],
        [2, 1],
      ],
    );
  });
});
