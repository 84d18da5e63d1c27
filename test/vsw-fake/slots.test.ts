import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleSa, sampleSp } from '../support/fake-lagopus/router-samples.ts';
import { slotOf } from '../support/fake-lagopus/slots.ts';
import { Router } from './harness.ts';

/** Two SPIs with one slot. */
function collidingSpis(): readonly [number, number] {
  const first = 1000;
  for (let spi = first + 1; ; spi++) if (slotOf(spi) === slotOf(first)) return [first, spi];
}

test('slot(2) is 82, and there are 127 slots, none of them 0', () => {
  assert.equal(slotOf(2), 82);
  const slots = new Set(Array.from({ length: 100_000 }, (_, at) => slotOf((at * 2654435761) >>> 0)));
  assert.equal(slots.size, 127);
  assert.ok(!slots.has(0));
});

test('of two SAs in one slot one silently displaces the other, and traffic leaves under its key', async () => {
  await using router = await Router.start();
  const [first, second] = collidingSpis();
  await router.operate([
    ...sampleSa({ spi: first }),
    ...sampleSp({ name: 'one', spi: first }),
    ...sampleSa({ spi: second, remote: '198.18.0.3' }),
    ...sampleSp({ name: 'two', spi: second, destination: '198.19.3.0' }),
  ]);
  assert.deepEqual([...router.vsw.matureSpis('vrf1')].sort(), [first, second].sort());
  const { forwarding } = router.vsw.vrf('vrf1');
  const [holder] = forwarding.installed('outbound');
  for (const destination of ['198.19.2.9', '198.19.3.9']) {
    const sent = forwarding.send({ source: '198.19.1.9', destination });
    assert.ok(sent.kind === 'esp');
    assert.equal(sent.packet.spi, holder);
  }
});

test('when the intruder goes, the first SA starts again at sequence 1 with the same key', async () => {
  await using router = await Router.start();
  const [first, second] = collidingSpis();
  await router.operate([...sampleSa({ spi: first }), ...sampleSp({ name: 'one', spi: first })]);
  const { forwarding } = router.vsw.vrf('vrf1');
  const send = () => forwarding.send({ source: '198.19.1.9', destination: '198.19.2.9' });
  send();
  // Whoever comes later in a map's order wins: new commits shuffle it until the intruder has the slot.
  await router.operate(sampleSa({ spi: second }));
  for (let spi = 50_000; forwarding.installed('outbound').includes(first); spi++) {
    await router.operate(sampleSa({ spi }));
  }
  await router.operate([
    `delete network-instances network-instance vrf1 security ipsec sad sad-entries ${second}`,
  ]);
  const again = send();
  assert.ok(again.kind === 'esp');
  assert.deepEqual([again.packet.spi, again.packet.sequence], [first, 1]);
  assert.equal(router.vsw.nonces.reused.length, 1);
});

test('through openconfigd an SA takes its slot in both directions; 1004 are accepted without complaint', async () => {
  await using router = await Router.start();
  await router.operate(Array.from({ length: 1004 }, (_, at) => sampleSa({ spi: 1000 + at })).flat());
  assert.equal(router.vsw.matureSpis('vrf1').length, 1004);
  const { forwarding } = router.vsw.vrf('vrf1');
  assert.ok(forwarding.installed('inbound').length <= 127);
  assert.ok(forwarding.installed('outbound').length <= 127);
});
