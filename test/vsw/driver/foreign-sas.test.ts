import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { slotOf } from '../../../src/vsw/slots/index.ts';
import { ExtensionType, MessageType, write } from '../../support/fake-lagopus/pfkey-wire.ts';
import { eventually } from '../../support/index.ts';
import { addOf, ends, PfkeyPeer, saOf, spdOf } from '../../vsw-fake/pfkey-peer.ts';
import { asDiscard, deleteSa, Rig, refusal, reserve, samplePolicy, sampleSa } from './rig.ts';

const SPI = 0x11111111;

function colliding(spi: number): number {
  for (let other = spi + 1; ; other += 1) if (slotOf(other) === slotOf(spi)) return other;
}

test('an SA of the same SPI that is not of the driver is not taken for its own, and stays', async () => {
  await using rig = await Rig.start();
  using other = await PfkeyPeer.connect(join(rig.dir.path, 'lagopus-vrf1.sock'));
  await other.ask(MessageType.ADD, addOf(SPI));
  const [code, message] = refusal(await rig.client.one(sampleSa({ direction: 'outbound', spi: SPI })));
  assert.equal(code, 'SPI_COLLISION');
  assert.match(message, /not of this driver/);
  assert.deepEqual(
    rig.vsw.sas().map(({ spi, values }) => [spi, values.encryptionKey[0]]),
    [[SPI, 0x5a]],
  );
});

test('an SPI that somebody reserved in vsw is not taken from them', async () => {
  await using rig = await Rig.start();
  using other = await PfkeyPeer.connect(join(rig.dir.path, 'lagopus-vrf1.sock'));
  const range = write.algorithms(ExtensionType.SPIRANGE, [{ id: 0, ivBytes: 0, min: 0, max: 0 }]);
  for (const offset of [0, 4]) range.body.writeUInt32LE(SPI, offset);
  await other.ask(MessageType.GETSPI, [...ends(), range]);
  const [code, message] = refusal(await rig.client.one(sampleSa({ direction: 'outbound', spi: SPI })));
  assert.equal(code, 'SPI_COLLISION', message);
  const { header } = await other.ask(MessageType.GET, [saOf(SPI), ...ends()]);
  assert.equal(header.errno, 22, 'it is still reserved');
});

test('what was begun with a vsw that died does not reach its next life', async () => {
  await using rig = await Rig.start();
  rig.vsw.pause();
  const begun = rig.client.one(sampleSa({ direction: 'outbound', spi: SPI }));
  await setTimeout(50);
  await rig.vsw.restart();
  await begun.catch(() => undefined);
  await rig.acquire();
  await rig.client.must(sampleSa({ direction: 'outbound', spi: SPI }));
  await setTimeout(200);
  assert.deepEqual(
    rig.vsw.sas().map(({ spi }) => spi),
    [SPI],
  );
});

test('an SA that somebody puts into vsw has its slot until it goes', async () => {
  await using rig = await Rig.start();
  using other = await PfkeyPeer.connect(join(rig.dir.path, 'lagopus-vrf1.sock'));
  await other.ask(MessageType.ADD, addOf(SPI));
  await eventually('its slot is taken', () => rig.driver.status.slots[0]?.used === 1, { timeoutMs: 8_000 });
  const sa = sampleSa({ direction: 'outbound', spi: colliding(SPI) });
  const [code, message] = refusal(await rig.client.one(sa));
  assert.equal(code, 'SPI_COLLISION');
  assert.match(message, /slot of SA 11111111, which is not of this driver/);
  assert.ok(rig.said.some((line) => line.includes('11111111') && line.includes('left alone')));
  for (let draw = 0; draw < 30; draw += 1) {
    assert.notEqual(slotOf((await rig.client.one(reserve())).spi), slotOf(SPI));
  }
  await other.ask(MessageType.DELETE, [saOf(SPI), ...ends()]);
  await eventually('its slot is free', () => rig.driver.status.slots[0]?.used === 30, { timeoutMs: 8_000 });
  await rig.client.must(sa);
});

test('an SA that somebody puts into the slot of one of ours is told of, and ours stays known', async () => {
  await using rig = await Rig.start();
  await rig.client.must(sampleSa({ direction: 'outbound', spi: colliding(SPI) }));
  using other = await PfkeyPeer.connect(join(rig.dir.path, 'lagopus-vrf1.sock'));
  await other.ask(MessageType.ADD, addOf(SPI));
  await eventually('it is told of', () => rig.said.some((line) => line.includes('share slots')), {
    timeoutMs: 8_000,
  });
  assert.equal((await rig.client.sas()).length, 1);
});

test('an inbound policy that goes from discard to protect is in vsw, however late vsw deletes the first', async () => {
  await using rig = await Rig.start({ vsw: { applyDelayMs: 200 } });
  const inbound = { direction: 'inbound', spi: 0xc0000001 } as const;
  await rig.client.must(sampleSa(inbound));
  await rig.client.must(asDiscard(samplePolicy(inbound)));
  await eventually('discards', () => inboundKinds(rig).includes('discard'));
  await rig.client.must(samplePolicy(inbound));
  await setTimeout(400);
  assert.deepEqual(inboundKinds(rig), ['bypass']);
});

test('an inbound policy of somebody else is not taken over', async () => {
  await using rig = await Rig.start();
  const inbound = { direction: 'inbound', spi: 0xc0000001 } as const;
  await rig.client.must(sampleSa(inbound));
  using other = await PfkeyPeer.connect(join(rig.dir.path, 'lagopus-vrf1.sock'));
  const theirs = { direction: 1, type: 2, source: '198.19.2.0', destination: '198.19.1.0' };
  const added = await other.ask(
    MessageType.X_SPDADD,
    spdOf({ ...theirs, local: '198.18.0.2', remote: '198.18.0.1' }),
  );
  assert.equal(added.header.errno, 0);
  const [code, message] = refusal(await rig.client.one(samplePolicy(inbound)));
  assert.equal(code, 'TEMPORARY');
  assert.match(message, /not of this driver/);
  assert.deepEqual(inboundKinds(rig), ['protect']);
});

test('an SPI whose time ran out in vsw can be used again, and one on its way out is refused for now', async () => {
  await using rig = await Rig.start();
  const sa = { direction: 'outbound', spi: SPI } as const;
  const hardLifetime = { seconds: 2n, bytes: 0n, packets: 0n };
  await rig.client.must(sampleSa({ ...sa, with: { hardLifetime } }));
  await eventually('its end', async () => (await rig.client.sas()).length === 0, { timeoutMs: 8_000 });
  await setTimeout(2_100);
  await rig.client.must(sampleSa(sa));
  assert.deepEqual(
    rig.vsw.sas().map(({ spi }) => spi),
    [SPI],
  );
  const [deleted, again] = await Promise.all([
    rig.client.one(deleteSa(sa)),
    rig.client.one(sampleSa({ ...sa, key: 7 })),
  ]);
  assert.equal(refusal(deleted)[0], 'OK');
  assert.equal(refusal(again)[0], 'TEMPORARY', again.message);
});

function inboundKinds(rig: Rig): readonly string[] {
  return rig.vsw
    .policies('vrf1')
    .filter(({ direction }) => direction === 'inbound')
    .map(({ policy }) => policy);
}
