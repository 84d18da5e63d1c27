import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Direction,
  Feature,
  type Operation,
  Protocol,
  ResultCode,
  type Sa,
} from '../../../src/proto/index.ts';
import { formatVswStatus } from '../../../src/vsw/index.ts';
import { slotOf } from '../../../src/vsw/slots/index.ts';
import { saId } from '../../dataplane/samples.ts';
import { eventually } from '../../support/index.ts';
import { deleteSa, operation, PEER, Rig, refusal, reserve, samplePolicy, sampleSa } from './rig.ts';

const IN = 0xc0000001;
const OUT = 0x11111111;

/** Another SPI of the same slot. */
function colliding(spi: number): number {
  for (let other = spi + 1; ; other += 1) if (slotOf(other) === slotOf(spi)) return other;
}

/** One of another slot than all of these. */
function apart(first: number, ...spis: readonly number[]): number {
  const taken = new Set(spis.map(slotOf));
  for (let spi = first; ; spi += 1) if (!taken.has(slotOf(spi))) return spi;
}

async function tunnel(
  rig: Rig,
  spis: { inbound: number; outbound: number } = { inbound: IN, outbound: OUT },
) {
  const inbound = { direction: 'inbound', spi: spis.inbound } as const;
  const outbound = { direction: 'outbound', spi: spis.outbound } as const;
  await rig.client.must(sampleSa(inbound), sampleSa(outbound));
  await rig.client.must(samplePolicy(inbound), samplePolicy(outbound));
  return { inbound, outbound };
}

function withPriority(put: Operation, priority: number): Operation {
  const policy = put.putPolicy?.policy;
  if (policy === undefined) throw new Error('no policy');
  return operation({ putPolicy: { policy: { ...policy, priority } } });
}

const inner = { source: '198.19.1.1', destination: '198.19.2.1' };

describe('the driver through the relay', () => {
  it('says what vsw can do, and nothing else', async () => {
    await using rig = await Rig.start();
    const capabilities = await rig.client.capabilities();
    assert.deepEqual(
      capabilities.encryption.map(({ name, keyBits }) => [name, keyBits]),
      [
        ['ENCR_AES_CBC', [128]],
        ['ENCR_AES_GCM_16', [128]],
      ],
    );
    assert.deepEqual(
      capabilities.integrity.map(({ name }) => name),
      ['AUTH_HMAC_SHA1_96'],
    );
    assert.deepEqual(capabilities.protocols, [Protocol.PROTOCOL_ESP]);
    assert.deepEqual(
      [capabilities.maxReplayWindow, capabilities.maxSas, capabilities.spi?.mustReserve],
      [0, 127, true],
    );
    for (const feature of [
      Feature.FEATURE_IPV6_OUTER,
      Feature.FEATURE_ESN,
      Feature.FEATURE_UPDATE_SA,
      Feature.FEATURE_LIFETIME_BYTES,
      Feature.FEATURE_INITIAL_SEQUENCE,
    ]) {
      assert.ok(!capabilities.features.includes(feature), String(feature));
    }
    assert.ok(capabilities.ackLatencyUs >= 2_300_000);
  });

  it('answers an inbound SA when vsw shows it mature, and an outbound one when vsw shows it', async () => {
    await using rig = await Rig.start();
    await rig.client.must(sampleSa({ direction: 'outbound', spi: OUT }));
    assert.ok(rig.vsw.sas().some(({ spi }) => spi === OUT));
    await rig.client.must(sampleSa({ direction: 'inbound', spi: IN }));
    assert.ok(rig.vsw.matureSpis('vrf1').includes(IN));
    const sas = await rig.client.sas();
    assert.deepEqual(sas.map(({ sa }) => sa?.id?.spi).sort(), [IN, OUT].sort());
  });

  it('has packets pass both ways, with what was negotiated and nothing in clear', async () => {
    await using rig = await Rig.start();
    await eventually(
      'closed by default',
      () => {
        const sent = rig.vsw.vrf('vrf1').forwarding.send(inner);
        return sent.kind === 'dropped';
      },
      { timeoutMs: 3_000 },
    );
    await tunnel(rig);
    const sent = rig.vsw.vrf('vrf1').forwarding.send(inner);
    assert.equal(sent.kind, 'esp');
    assert.equal(sent.kind === 'esp' && sent.packet.spi, OUT);
    const values = rig.vsw.sas().find(({ spi }) => spi === IN)?.values;
    assert.equal(values?.local, '198.18.0.2', 'an inbound SA’s local peer is the remote gateway');
  });

  it('refuses what vsw cannot do, with the reason and what to set', async () => {
    await using rig = await Rig.start();
    const base = { direction: 'outbound', spi: OUT } as const;
    const cases: readonly (readonly [Partial<Sa>, string, RegExp])[] = [
      [{ replayWindow: 32 }, 'UNSUPPORTED_FEATURE', /no anti-replay.*set replay_window = 0/],
      [{ esn: true }, 'UNSUPPORTED_FEATURE', /32 bits/],
      [{ requiredFeatures: [Feature.FEATURE_COPY_DF] }, 'UNSUPPORTED_FEATURE', /set copy_df = no/],
      [
        { encryptionKey: Buffer.alloc(36) },
        'UNSUPPORTED_ALGORITHM',
        /ENCR_AES_GCM_16 with a key of 256 bits/,
      ],
      [{ mode: 1 }, 'UNSUPPORTED_MODE', /only tunnel mode/],
      [
        { hardLifetime: { seconds: 0n, bytes: 1n, packets: 0n } },
        'UNSUPPORTED_FEATURE',
        /never ends an SA by its bytes/,
      ],
      [{ source: { value: Buffer.alloc(16) } }, 'UNSUPPORTED_ADDRESS_FAMILY', /only IPv4/],
      [
        { id: { ...saId(Direction.DIRECTION_OUTBOUND, OUT, PEER), ifId: 7 } },
        'UNSUPPORTED_FEATURE',
        /vrfRules in agent.yaml/,
      ],
      [{ innerVrf: 'vrf9' }, 'UNSUPPORTED_FEATURE', /no VRF vrf9, only vrf1/],
      [
        { encryption: 12, encryptionKey: Buffer.alloc(32), integrity: 2, integrityKey: Buffer.alloc(20) },
        'UNSUPPORTED_ALGORITHM',
        /with `via: pfkey` it is/,
      ],
    ];
    for (const [other, code, message] of cases) {
      const result = refusal(await rig.client.one(sampleSa({ ...base, with: other })));
      assert.equal(result[0], code, result[1]);
      assert.match(result[1], message);
    }
    assert.deepEqual(rig.vsw.sas(), []);
  });

  it('refuses an SA whose slot is taken before it displaces another, and draws SPIs that do not collide', async () => {
    await using rig = await Rig.start();
    await rig.client.must(sampleSa({ direction: 'inbound', spi: IN }));
    const result = refusal(await rig.client.one(sampleSa({ direction: 'outbound', spi: colliding(IN) })));
    assert.equal(result[0], 'SPI_COLLISION');
    assert.match(result[1], /falls into the slot of SA c0000001/);
    const drawn = new Set<number>();
    for (let draw = 0; draw < 40; draw += 1) {
      const { spi } = await rig.client.one(reserve());
      drawn.add(slotOf(spi));
    }
    assert.equal(drawn.size, 40);
    assert.ok(!drawn.has(slotOf(IN)));
    const [use] = rig.driver.status.slots;
    assert.equal(use?.used, 41);
    assert.ok((use?.nextCollisionOdds ?? 0) > 0.3);
  });

  it('says when no slot is free, and lets a drawn SPI be given back', async () => {
    await using rig = await Rig.start();
    const spis: number[] = [];
    for (let draw = 0; draw < 127; draw += 1) spis.push((await rig.client.one(reserve())).spi);
    const [code, message] = refusal(await rig.client.one(reserve()));
    assert.equal(code, 'CAPACITY');
    assert.match(message, /127 of vsw's 127 slots/);
    await rig.client.one(deleteSa({ direction: 'inbound', spi: spis[0] ?? 0 }));
    assert.equal((await rig.client.one(reserve())).code, ResultCode.RESULT_CODE_OK);
  });

  it('does not use a deleted SPI, or its slot, within two ticks', async () => {
    await using rig = await Rig.start();
    const outbound = { direction: 'outbound', spi: OUT } as const;
    await rig.client.must(sampleSa(outbound));
    await rig.client.must(deleteSa(outbound));
    assert.deepEqual(rig.vsw.sas(), []);
    const [code, message] = refusal(await rig.client.one(sampleSa(outbound)));
    assert.equal(code, 'TEMPORARY');
    assert.match(message, /not forgotten/);
    await sleep(2_050);
    await rig.client.must(sampleSa(outbound));
  });

  it('has no packet leave by an SA in the slot of one that is gone', async () => {
    await using rig = await Rig.start();
    const outbound = { direction: 'outbound', spi: OUT } as const;
    const other = { direction: 'outbound', spi: colliding(OUT), peer: '198.18.0.3' } as const;
    await rig.client.must(sampleSa(outbound));
    await rig.client.must(samplePolicy(outbound));
    await rig.client.must(deleteSa(outbound));
    await sleep(2_050);
    const [code, message] = refusal(await rig.client.one(sampleSa(other)));
    assert.equal(code, 'SPI_COLLISION');
    assert.match(message, /SPI 11111111, which is gone and which a policy still names/);
    assert.equal(rig.vsw.vrf('vrf1').forwarding.send(inner).kind, 'dropped');
    await rig.client.must(operation({ deletePolicy: { id: samplePolicy(outbound).putPolicy?.policy?.id } }));
    await rig.client.must(sampleSa(other));
    const put = refusal(await rig.client.one(samplePolicy(outbound)));
    assert.equal(put[0], 'TEMPORARY');
    assert.match(put[1], /there is no SA 11111111, and its slot is that of SA/);
    assert.equal(rig.vsw.vrf('vrf1').forwarding.send(inner).kind, 'dropped');
  });

  it('rekeys without losing a packet, also of those between the two halves of a tick', async () => {
    let sendBetween = (): void => undefined;
    await using rig = await Rig.start({
      vsw: { arePoliciesFirst: () => true, onHalfTick: () => sendBetween() },
    });
    const old = await tunnel(rig);
    const { forwarding } = rig.vsw.vrf('vrf1');
    const lost: string[] = [];
    const received: string[] = [];
    // The peer switches to the new inbound SA as soon as it may.
    let peerSpi: number = IN;
    sendBetween = (): void => {
      if (forwarding.send(inner).kind !== 'esp') lost.push('out: between');
    };
    const packets = setInterval(() => {
      const sent = forwarding.send(inner);
      if (sent.kind !== 'esp') lost.push(`out: ${sent.kind}`);
      const values = rig.vsw.sas().find(({ spi }) => spi === peerSpi)?.values;
      if (values === undefined) return;
      const got = forwarding.receive({
        spi: peerSpi,
        sequence: received.length + 1,
        source: values.local,
        destination: values.remote,
        key: keyOf(values),
        inner: { source: inner.destination, destination: inner.source },
      });
      received.push(got.kind);
      if (got.kind === 'dropped') lost.push(`in: ${got.reason}`);
    }, 20);
    for (let rekey = 1; rekey <= 2; rekey += 1) {
      const inbound = { direction: 'inbound', spi: apart(IN + rekey, IN, OUT, peerSpi) } as const;
      const outbound = { direction: 'outbound', spi: apart(OUT + rekey, IN, OUT, inbound.spi) } as const;
      await rig.client.must(sampleSa(inbound));
      await rig.client.must(sampleSa(outbound));
      peerSpi = inbound.spi;
      await rig.client.must(samplePolicy(inbound), samplePolicy(outbound));
      if (rekey === 1) await rig.client.must(deleteSa(old.outbound), deleteSa(old.inbound));
    }
    clearInterval(packets);
    assert.deepEqual(lost, []);
    assert.ok(received.length > 50);
    assert.deepEqual(rig.vsw.nonces.reused, []);
  });

  it('brings nothing back with an old key when vsw restarts, and has its clients see another boot', async () => {
    await using rig = await Rig.start();
    const before = await rig.client.capabilities();
    await tunnel(rig);
    rig.vsw.stop();
    await eventually('lost', () => rig.driver.status.problem !== undefined);
    await assert.rejects(rig.client.sas(), /vsw ended, or is deaf: vsw.conf has to name/);
    await rig.vsw.boot();
    await rig.acquire();
    const after = await rig.client.capabilities();
    assert.notDeepEqual(after.bootId, before.bootId);
    assert.deepEqual([await rig.client.sas(), rig.vsw.sas()], [[], []]);
    await tunnel(rig, { inbound: apart(IN + 9, IN), outbound: apart(OUT + 9, IN, IN + 9) });
    assert.deepEqual(rig.vsw.nonces.reused, []);
  });

  it('tells of lifetimes, and ends an SA whose time is over', async () => {
    await using rig = await Rig.start();
    const events: string[] = [];
    const call = rig.client.grpc.watchEvents({
      ownerId: 'test',
      after: 0n,
      bootId: Buffer.alloc(0),
      agentId: '',
    });
    call.on('data', ({ expire }) => expire && events.push(expire.hard ? 'hard' : 'soft'));
    call.on('error', () => undefined);
    const seconds = (value: bigint) => ({ seconds: value, bytes: 0n, packets: 0n });
    const limits = { softLifetime: seconds(1n), hardLifetime: seconds(2n) };
    await rig.client.must(sampleSa({ direction: 'outbound', spi: OUT, with: limits }));
    await eventually('both limits', () => events.length === 2);
    call.cancel();
    assert.deepEqual(events, ['soft', 'hard']);
    assert.deepEqual([await rig.client.sas(), rig.vsw.sas()], [[], []]);
  });

  it('takes an unchanged SA as it is, and one of other keys not at all', async () => {
    await using rig = await Rig.start();
    await rig.client.must(sampleSa({ direction: 'outbound', spi: OUT }));
    const again = await rig.client.one(sampleSa({ direction: 'outbound', spi: OUT }));
    assert.equal(again.unchanged, true);
    const [code, message] = refusal(
      await rig.client.one(sampleSa({ direction: 'outbound', spi: OUT, key: 9 })),
    );
    assert.deepEqual([code, /exists with other keys/.test(message)], ['SPI_COLLISION', true]);
  });

  it('carries on through a restart of openconfigd, and an upstream commit in the middle of ours', async () => {
    await using rig = await Rig.start({ openconfigd: { release: '0.8.2' }, vsw: { numbering: '0.8.2' } });
    const operating = rig.openconfigd.operate([
      'set network-instances network-instance vrf2 config type L3VRF',
    ]);
    await tunnel(rig);
    await operating;
    await rig.openconfigd.restart();
    await rig.client.must(sampleSa({ direction: 'outbound', spi: apart(OUT + 1, IN, OUT) }));
    assert.equal((await rig.client.sas()).length, 3);
    assert.ok(!rig.openconfigd.commands.includes('ipsec sad'));
  });

  it('keeps VRFs apart, and each one’s slots', async () => {
    await using rig = await Rig.start({ vrfs: ['vrf1', 'vrf2'] });
    await rig.client.must(sampleSa({ direction: 'outbound', spi: OUT }));
    await rig.client.must(
      sampleSa({ direction: 'outbound', spi: colliding(OUT), vrf: 'vrf2', peer: '198.18.0.3' }),
    );
    await rig.client.must(samplePolicy({ direction: 'outbound', spi: OUT }));
    await rig.client.must(
      samplePolicy({ direction: 'outbound', spi: colliding(OUT), vrf: 'vrf2', peer: '198.18.0.3' }),
    );
    assert.deepEqual(
      rig.vsw.sas().map(({ vrf, spi }) => [vrf, spi]),
      [
        ['vrf1', OUT],
        ['vrf2', colliding(OUT)],
      ],
    );
    for (const [vrf, spi] of [
      ['vrf1', OUT],
      ['vrf2', colliding(OUT)],
    ] as const) {
      const sent = rig.vsw.vrf(vrf).forwarding.send(inner);
      assert.equal(sent.kind === 'esp' && sent.packet.spi, spi, vrf);
    }
  });

  it('takes if_ids and marks that a VRF is named for, one of each selector', async () => {
    await using rig = await Rig.start({ vrfs: ['vrf1', 'vrf2'] });
    const sa = sampleSa({ direction: 'outbound', spi: OUT, vrf: 'vrf2' }).addSa?.sa;
    assert.ok(sa?.id);
    const scoped = { ...sa, id: { ...sa.id, ifId: 42 } };
    const required = [Feature.FEATURE_IF_ID, Feature.FEATURE_VRF];
    const add = () =>
      operation({
        addSa: {
          sa: { ...scoped, encryptionKey: Buffer.from(sa.encryptionKey), requiredFeatures: required },
        },
      });
    const nameless = refusal(await rig.client.one(operation({ addSa: { sa: { ...scoped, innerVrf: '' } } })));
    assert.equal(nameless[0], 'UNSUPPORTED_FEATURE');
    assert.match(nameless[1], /IF_ID.*vrfRules/);
    await rig.client.must(add());
    assert.deepEqual(
      rig.vsw.sas().map(({ vrf, spi }) => [vrf, spi]),
      [['vrf2', OUT]],
    );
    const policyOf = (ifId: number) => {
      const policy = samplePolicy({ direction: 'outbound', spi: OUT, vrf: 'vrf2' }).putPolicy?.policy;
      assert.ok(policy?.id);
      return operation({ putPolicy: { policy: { ...policy, id: { ...policy.id, ifId } } } });
    };
    await rig.client.must(policyOf(42));
    const [code, message] = refusal(await rig.client.one(policyOf(43)));
    assert.equal(code, 'INVALID');
    assert.match(message, /another if_id or mark already/);
    const deleted = await rig.client.one(operation({ deleteSa: { id: scoped.id } }));
    assert.deepEqual([refusal(deleted)[0], rig.vsw.sas()], ['OK', []]);
  });

  it('has the narrower of two policies win, whichever came first', async () => {
    await using rig = await Rig.start();
    const wide = { direction: 'outbound', spi: OUT, network: '198.19.0.0/16' } as const;
    const narrow = {
      direction: 'outbound',
      spi: apart(OUT + 1, OUT),
      peer: '198.18.0.3',
      network: '198.19.2.0/24',
    } as const;
    await rig.client.must(sampleSa(wide), sampleSa(narrow));
    await rig.client.must(withPriority(samplePolicy(wide), 383_615));
    await rig.client.must(withPriority(samplePolicy(narrow), 375_423));
    const spiTo = (destination: string): number | undefined => {
      const sent = rig.vsw.vrf('vrf1').forwarding.send({ ...inner, destination });
      return sent.kind === 'esp' ? sent.packet.spi : undefined;
    };
    assert.deepEqual([spiTo('198.19.2.1'), spiTo('198.19.3.1')], [narrow.spi, OUT]);
  });

  it('starts with a journal that was cut off, of which it needs nothing', async () => {
    await using rig = await Rig.start();
    await rig.driver[Symbol.asyncDispose]();
    writeFileSync(join(rig.dir.path, 'journal.json'), '{"version":1,"bo');
    await rig.restartDriver();
    assert.ok(rig.said.some((line) => line.includes('the journal cannot be read')));
    await rig.vsw.restart();
    await rig.acquire();
    await rig.client.must(sampleSa({ direction: 'outbound', spi: OUT }));
  });

  it('deletes an inbound policy that could not be changed for want of an SA', async () => {
    await using rig = await Rig.start();
    const inbound = { direction: 'inbound', spi: IN } as const;
    const id = samplePolicy(inbound).putPolicy?.policy?.id;
    const held = () => rig.vsw.policies('vrf1').filter(({ direction }) => direction === 'inbound').length;
    await rig.client.must(sampleSa(inbound));
    await rig.client.must(samplePolicy(inbound));
    await rig.client.must(deleteSa(inbound));
    await rig.client.must(withPriority(samplePolicy(inbound), 2000));
    assert.equal(held(), 1);
    await rig.client.must(operation({ deletePolicy: { id } }));
    assert.equal(held(), 0);
  });

  it('tells vsw the SAs of a batch in one commit, as each commit takes vsw as long as one', async () => {
    await using rig = await Rig.start();
    await eventually('the last commit of the start', () => rig.vsw.vrf('vrf1').forwarding.isOpen);
    const before = rig.vsw.commitCount;
    const spis = [OUT];
    for (let count = 1; count < 20; count += 1) spis.push(apart(OUT, ...spis));
    const batch = spis.map((spi, at) =>
      sampleSa({ direction: 'outbound', spi, peer: `198.18.0.${10 + at}` }),
    );
    await rig.client.must(...batch);
    assert.equal(rig.vsw.commitCount - before, 1);
  });

  it('writes no key anywhere', async () => {
    await using rig = await Rig.start();
    await tunnel(rig);
    await sleep(50);
    const journal = readFileSync(join(rig.dir.path, 'journal.json'), 'utf8');
    const keys = rig.vsw.sas().map(({ values }) => values.encryptionKey);
    assert.equal(keys.length, 2);
    for (const key of keys) {
      for (const form of ['hex', 'base64', 'latin1'] as const) {
        for (const text of [journal, rig.said.join('\n'), JSON.stringify(rig.driver.status)]) {
          assert.ok(!text.includes(key.toString(form).slice(0, 12)));
        }
      }
    }
  });

  it('refuses a second agent while the first one is connected, and two drivers on one router', async () => {
    await using rig = await Rig.start();
    const request = { ownerId: 'test', after: 0n, bootId: Buffer.alloc(0), agentId: 'first' };
    const call = rig.client.grpc.watchEvents(request);
    call.on('error', () => undefined);
    await new Promise((resolve) => call.once('data', resolve));
    const acquire = (agentId: string): Promise<string> =>
      new Promise((resolve) => {
        rig.client.grpc.acquireWriter({ ownerId: 'test', agentId }, (error) => resolve(error?.details ?? ''));
      });
    assert.equal(await acquire('first'), '');
    assert.match(await acquire('second'), /agent "first" writes for owner "test" and is connected: stop it/);
    call.cancel();
    await assert.rejects(
      rig.startAnotherDriver(),
      /is another ipsec-agent vsw, or openconfigd itself, there\?/,
    );
  });

  it('shows its state, slots and odds to who asks on the status socket', async () => {
    await using rig = await Rig.start();
    await tunnel(rig);
    const chunks: Buffer[] = [];
    for await (const chunk of connect(join(rig.dir.path, 'status.sock'))) chunks.push(Buffer.from(chunk));
    const text = formatVswStatus(Buffer.concat(chunks).toString('utf8'));
    assert.match(text, /state: +ready/);
    assert.match(text, /slots: +vrf1 2 of 127; the next SPI of a peer's choice collides with odds of 1\.6 %/);
    assert.match(text, /upstream: +openconfigd 127\.0\.0\.1/);
  });

  it('refuses a move, which vsw would say yes to and not make', async () => {
    await using rig = await Rig.start();
    const id = deleteSa({ direction: 'outbound', spi: OUT }).deleteSa?.id;
    const updateSa = {
      id,
      newSource: undefined,
      newDestination: undefined,
      newUdpEncapsulation: undefined,
      newReqid: 0,
    };
    assert.equal(refusal(await rig.client.one(operation({ updateSa })))[0], 'UNSUPPORTED_FEATURE');
  });
});

/** As the fake's forwarding names a key. */
function keyOf(values: { encryptionKey: Buffer; integrityKey: Buffer }): string {
  return values.encryptionKey.toString('hex') + values.integrityKey.toString('hex');
}
