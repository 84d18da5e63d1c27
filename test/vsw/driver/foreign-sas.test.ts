import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { MessageType } from '../../support/fake-lagopus/pfkey-wire.ts';
import { addOf, PfkeyPeer } from '../../vsw-fake/pfkey-peer.ts';
import { Rig, refusal, sampleSa } from './rig.ts';

const SPI = 0x11111111;

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
