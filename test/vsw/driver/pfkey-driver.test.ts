import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { Policy, ResultCode, Sa } from '../../../src/proto/index.ts';
import { MessageType } from '../../../src/vsw/pfkey/index.ts';
import { slotOf } from '../../../src/vsw/slots/index.ts';
import { eventually } from '../../support/index.ts';
import { deleteSa, Rig, type RigOptions, refusal, samplePolicy, sampleSa } from './rig.ts';

const IN = 0xc0000001;
const OUT = 0x11111111;
const NEXT_IN = 0xc0000002;
const NEXT_OUT = 0x11111112;
const inbound = { direction: 'inbound', spi: IN } as const;
const outbound = { direction: 'outbound', spi: OUT } as const;
const inner = { source: '198.19.1.1', destination: '198.19.2.1' };

/** Without a relay a later openconfigd waits 20 s for what vsw never sends. */
const options: RigOptions = {
  via: 'pfkey',
  openconfigd: { release: '0.8.1' },
  vsw: { numbering: '0.8.2' },
};

const aes256 = {
  encryption: 12,
  encryptionKey: Buffer.alloc(32, 7),
  integrity: 12,
  integrityKey: Buffer.alloc(32, 8),
};

/** Nothing else of this process goes on meanwhile. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function tunnel(rig: Rig): Promise<void> {
  await rig.client.must(sampleSa({ ...inbound, with: aes256 }), sampleSa({ ...outbound, with: aes256 }));
  await rig.client.must(samplePolicy(inbound), samplePolicy(outbound));
}

describe('the driver through PF_KEY', () => {
  it('has the algorithms only PF_KEY has', async () => {
    await using rig = await Rig.start(options);
    const { encryption, integrity, maxSas } = await rig.client.capabilities();
    assert.deepEqual(
      encryption.map(({ name, keyBits }) => [name, keyBits]),
      [
        ['ENCR_AES_CBC', [128, 256]],
        ['ENCR_AES_CTR', [128]],
        ['ENCR_AES_GCM_16', [128]],
      ],
    );
    assert.deepEqual(
      integrity.map(({ name }) => name),
      ['AUTH_HMAC_SHA1_96', 'AUTH_HMAC_SHA2_256_128'],
    );
    assert.equal(maxSas, 254);
  });

  it('installs an AES-256 and SHA-2 tunnel, that packets pass', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    await eventually('the outbound SA is in the cores', () => {
      const sent = rig.vsw.vrf('vrf1').forwarding.send(inner);
      return sent.kind === 'esp' && sent.packet.spi === OUT;
    });
    const held = rig.vsw.sas();
    assert.deepEqual(held.map(({ spi }) => spi).sort(), [IN, OUT].sort());
    assert.ok(held.find(({ spi }) => spi === IN)?.isInstalled.inbound);
    assert.equal(rig.vsw.crash, undefined);
  });

  it('installs SAs and policies of one batch, the policies behind their SAs', async () => {
    await using rig = await Rig.start(options);
    await rig.client.must(
      ...[sampleSa({ ...inbound, with: aes256 }), sampleSa({ ...outbound, with: aes256 })],
      ...[samplePolicy(inbound), samplePolicy(outbound)],
    );
    assert.equal(rig.vsw.policies('vrf1').length, 2);
    assert.equal(rig.vsw.vrf('vrf1').forwarding.send(inner).kind, 'esp');
  });

  it('moves the policies to new SAs, and deletes the old', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    await rig.client.must(sampleSa({ ...inbound, spi: NEXT_IN, with: aes256 }));
    assert.ok(rig.vsw.sas().find(({ spi }) => spi === NEXT_IN)?.isInstalled.inbound, 'works when answered');
    await rig.client.must(sampleSa({ ...outbound, spi: NEXT_OUT, with: aes256 }));
    await rig.client.must(
      samplePolicy({ ...inbound, spi: NEXT_IN }),
      samplePolicy({ ...outbound, spi: NEXT_OUT }),
    );
    const sent = rig.vsw.vrf('vrf1').forwarding.send(inner);
    assert.equal(sent.kind === 'esp' && sent.packet.spi, NEXT_OUT);
    await rig.client.must(deleteSa(inbound), deleteSa(outbound));
    assert.deepEqual(
      rig.vsw
        .sas()
        .map(({ spi }) => spi)
        .sort(),
      [NEXT_IN, NEXT_OUT].sort(),
    );
  });

  it('moves a policy only when its new SA is in the cores: a tick that has the policies first loses nothing', async () => {
    let sendBetween = (): void => undefined;
    const between: string[] = [];
    await using rig = await Rig.start({
      ...options,
      vsw: { ...options.vsw, arePoliciesFirst: () => true, onHalfTick: () => sendBetween() },
    });
    await tunnel(rig);
    const { forwarding } = rig.vsw.vrf('vrf1');
    sendBetween = (): void => {
      const sent = forwarding.send(inner);
      between.push(sent.kind === 'esp' ? sent.packet.spi.toString(16) : sent.kind);
    };
    const fresh = { ...aes256, encryptionKey: Buffer.alloc(32, 9) };
    await rig.client.must(sampleSa({ ...outbound, spi: NEXT_OUT, with: fresh }));
    await rig.client.must(samplePolicy({ ...outbound, spi: NEXT_OUT }));
    assert.deepEqual([...new Set(between)], [OUT.toString(16), NEXT_OUT.toString(16)]);
    assert.deepEqual(rig.vsw.nonces.reused, []);
  });

  it('gives a policy on its way to one SA to no other that comes meanwhile', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    await rig.client.must(sampleSa({ ...outbound, spi: NEXT_OUT, with: aes256 }));
    const moving = rig.client.must(samplePolicy({ ...outbound, spi: NEXT_OUT }));
    await eventually('vsw was told to enable the SA', () =>
      rig.vsw.sas().some(({ spi, isInstalled }) => spi === NEXT_OUT && isInstalled.outbound),
    );
    await Promise.all([moving, rig.client.must(sampleSa({ ...outbound, spi: NEXT_OUT + 1, with: aes256 }))]);
    const sent = rig.vsw.vrf('vrf1').forwarding.send(inner);
    assert.equal(sent.kind === 'esp' && sent.packet.spi, NEXT_OUT);
  });

  it('refuses a policy that vsw would bind to another SA than it names', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    await rig.client.must(sampleSa({ ...outbound, spi: NEXT_OUT, with: aes256 }));
    const other = samplePolicy({ ...outbound, network: '198.19.3.0/24' });
    const [code, message] = refusal(await rig.client.one(other));
    assert.equal(code, 'UNSUPPORTED_FEATURE');
    assert.match(message, /newest SA of the same outer addresses, which is the outbound ESP SA 11111112/);
  });

  it('has slots of their own for each direction', async () => {
    await using rig = await Rig.start(options);
    let spi = IN + 1;
    while (slotOf(spi) !== slotOf(IN)) spi += 1;
    await rig.client.must(sampleSa({ ...inbound, with: aes256 }));
    await rig.client.must(sampleSa({ ...outbound, spi, with: aes256 }));
    const result = refusal(
      await rig.client.one(sampleSa({ ...inbound, spi, peer: '198.18.0.9', with: aes256 })),
    );
    assert.equal(result[0], 'SPI_COLLISION');
    assert.deepEqual(
      rig.driver.status.slots.map(({ direction, used }) => [direction, used]),
      [
        ['inbound', 1],
        ['outbound', 1],
      ],
    );
  });

  it('knows after a restart of its own what is its own, keys included, and goes on under the same boot', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    const nonce = Buffer.alloc(16, 3);
    const before = await rig.client.sas({ fingerprintNonce: nonce });
    const { bootId } = await rig.client.capabilities();
    await rig.restartDriver();
    await rig.acquire();
    assert.deepEqual((await rig.client.capabilities()).bootId, bootId);
    const after = await rig.client.sas({ fingerprintNonce: nonce });
    const key = (states: typeof after) =>
      states.map(({ sa, keyFingerprint }) => [sa?.id?.spi, keyFingerprint.toString('hex')]).sort();
    assert.deepEqual(key(after), key(before));
    assert.equal((await rig.client.policies()).length, 2);
    const again = await rig.client.one(sampleSa({ ...inbound, with: aes256 }));
    assert.deepEqual([again.code, again.unchanged], [ResultCode.RESULT_CODE_OK, true]);
    await rig.client.must(deleteSa(inbound), deleteSa(outbound));
    assert.deepEqual(rig.vsw.sas(), []);
  });

  it('knows an SA again whose adding was not answered', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    const add = rig.client.one(sampleSa({ ...outbound, spi: NEXT_OUT, with: aes256 }));
    await eventually('vsw has it', () => rig.vsw.sas().some(({ spi }) => spi === NEXT_OUT), {
      intervalMs: 1,
    });
    rig.vsw.pause();
    await Promise.allSettled([add]);
    // Its answer may just have come: then others do not.
    await eventually(
      'vsw is given up',
      async () => {
        await Promise.allSettled([
          rig.client.one(sampleSa({ ...outbound, spi: NEXT_OUT + 7, with: aes256 })),
        ]);
        return rig.driver.status.problem !== undefined;
      },
      { timeoutMs: 20_000 },
    );
    rig.vsw.resume();
    await rig.acquire();
    const again = await rig.client.one(sampleSa({ ...outbound, spi: NEXT_OUT, with: aes256 }));
    assert.equal(again.code, ResultCode.RESULT_CODE_OK, again.message);
    assert.equal(rig.vsw.sas().filter(({ spi }) => spi === NEXT_OUT).length, 1);
  });

  it('starts although its journal knows entries of a VRF that is not configured any more', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    await rig.driver[Symbol.asyncDispose]();
    const path = `${rig.dir.path}/journal.json`;
    const journal = JSON.parse(await readFile(path, 'utf8'));
    const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
    for (const entry of journal.sas) {
      const moved = { ...Sa.decode(bytes(entry.sa)), innerVrf: 'vrf9' };
      entry.sa = Buffer.from(Sa.encode(moved).finish()).toString('base64');
    }
    for (const entry of journal.policies) {
      const policy = Policy.decode(bytes(entry.policy));
      if (policy.id !== undefined) policy.id.innerVrf = 'vrf9';
      entry.policy = Buffer.from(Policy.encode(policy).finish()).toString('base64');
    }
    await writeFile(path, JSON.stringify(journal));
    await rig.restartDriver();
    await rig.acquire();
    assert.deepEqual([await rig.client.sas(), await rig.client.policies()], [[], []]);
    assert.equal(rig.vsw.sas().length, 2, 'they are left alone');
    assert.ok(rig.said.some((line) => line.includes('its VRF is not configured')));
  });

  it('begins anew when vsw restarted, with nothing of what it had', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    const { bootId } = await rig.client.capabilities();
    await rig.vsw.restart();
    await eventually('another boot', async () => !(await rig.client.capabilities()).bootId.equals(bootId));
    await rig.acquire();
    assert.deepEqual([await rig.client.sas(), await rig.client.policies(), rig.vsw.sas()], [[], [], []]);
    assert.deepEqual(rig.vsw.nonces.reused, []);
  });

  it('leaves SAs of others alone, and out of their slots', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    // Another life that knows nothing: what is there is somebody else's.
    await rig.driver[Symbol.asyncDispose]();
    await rm(`${rig.dir.path}/journal.json`);
    await rig.restartDriver();
    await rig.acquire();
    assert.deepEqual(await rig.client.sas(), []);
    let spi = NEXT_OUT;
    while (slotOf(spi) !== slotOf(OUT)) spi += 1;
    const [code] = refusal(await rig.client.one(sampleSa({ ...outbound, spi, with: aes256 })));
    assert.equal(code, 'SPI_COLLISION');
    assert.equal(rig.vsw.sas().length, 2);
    assert.ok(rig.said.some((line) => line.includes('not ours')));
  });

  it('takes nothing over from a vsw that ends meanwhile', async () => {
    let isToEnd = false;
    const vsw: RigOptions['vsw'] = {
      ...options.vsw,
      // It answers what closes the listing of its SAs, and is gone before the driver has read that.
      onPfkey: (type) => {
        if (!isToEnd || type !== MessageType.register) return;
        isToEnd = false;
        block(100);
        rig.vsw.stop();
        block(100);
      },
    };
    await using rig: Rig = await Rig.start({ ...options, vsw });
    const before = await rig.client.capabilities();
    await tunnel(rig);
    isToEnd = true;
    await rig.restartDriver();
    await eventually('it ended', () => !rig.vsw.isRunning);
    await rig.vsw.boot();
    await rig.acquire();
    assert.deepEqual([rig.vsw.sas(), await rig.client.sas()], [[], []]);
    assert.notDeepEqual((await rig.client.capabilities()).bootId, before.bootId);
  });

  it('puts a policy that was on its way when PF_KEY was lost', async () => {
    await using rig = await Rig.start(options);
    await tunnel(rig);
    const next = { direction: 'outbound', spi: NEXT_OUT, network: '198.19.3.0/24' } as const;
    rig.vsw.pause();
    // vsw answers nothing for so long that its connection is given up.
    const applied = rig.client.apply(sampleSa(next), samplePolicy(next));
    await eventually('PF_KEY is lost', () => rig.driver.status.problem !== undefined);
    rig.vsw.resume();
    await applied.catch(() => undefined);
    await rig.acquire();
    assert.equal((await rig.client.policies()).length, 2, 'it is not there, and not listed');
    await rig.client.must(sampleSa(next));
    await rig.client.must(samplePolicy(next));
    const sent = rig.vsw.vrf('vrf1').forwarding.send({ ...inner, destination: '198.19.3.1' });
    assert.equal(sent.kind === 'esp' && sent.packet.spi, NEXT_OUT);
  });

  it('knows an SA of its own that was on its way when it was stopped', async () => {
    await using rig = await Rig.start({ ...options, vsw: { ...options.vsw, tickMs: 0 } });
    await rig.client.must(samplePolicy(inbound));
    // Not in force before vsw ticks, which it does not do here.
    const applied = rig.client.apply(sampleSa(inbound)).catch(() => undefined);
    await eventually('vsw has it', () => rig.vsw.sas().length === 1);
    await rig.restartDriver();
    await applied;
    await rig.acquire();
    assert.deepEqual(
      (await rig.client.sas()).map(({ sa }) => sa?.id?.spi),
      [IN],
    );
    await rig.client.must(deleteSa(inbound));
    assert.deepEqual(rig.vsw.sas(), []);
  });
});
