import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import {
  ApplyStreamRequest,
  type ApplyStreamResponse,
  Direction,
  Feature,
  Mode,
  PolicyAction,
  Protocol,
  ResultCode,
  type Sa,
} from '../../../src/proto/index.ts';
import { allAlgorithms } from '../../../src/sad/index.ts';
import { ContractClient } from '../../dataplane/contract-client.ts';
import { EventWatcher } from '../../dataplane/event-watcher.ts';
import { connectTo, RawGrpc } from '../../dataplane/raw-grpc.ts';
import {
  address,
  addSa,
  deleteSa,
  putPolicy,
  saId,
  samplePolicy,
  sampleSa,
  selector,
} from '../../dataplane/samples.ts';
import { DataplaneProcess, Lab, type NetNamespace } from '../../support/index.ts';

const OURS = '198.18.0.1';
const PEER = '198.18.0.2';
let nextSpi = 0xc1000000;

function inbound(overrides: Partial<Sa> = {}): Sa {
  nextSpi += 1;
  return sampleSa({
    direction: Direction.DIRECTION_INBOUND,
    spi: nextSpi,
    source: PEER,
    destination: OURS,
    overrides,
  });
}

function outbound(overrides: Partial<Sa> = {}): Sa {
  nextSpi += 1;
  return sampleSa({
    direction: Direction.DIRECTION_OUTBOUND,
    spi: nextSpi,
    source: OURS,
    destination: PEER,
    overrides,
  });
}

/** A second request for the same SA: the server wipes what it decoded, not what we hold, but keys are equal bytes. */
function copyOf(sa: Sa, overrides: Partial<Sa> = {}): Sa {
  return {
    ...sa,
    encryptionKey: Buffer.from(sa.encryptionKey),
    integrityKey: Buffer.from(sa.integrityKey),
    ...overrides,
  };
}

describe('the contract over a unix socket', () => {
  let lab: Lab;
  let namespace: NetNamespace;
  let dataplane: DataplaneProcess;
  let client: ContractClient;
  let drills: string;

  before(async () => {
    lab = await Lab.create();
    namespace = await lab.namespace('contract');
    drills = join(lab.dir, 'drills.yaml');
    dataplane = lab.use(
      await DataplaneProcess.start({
        namespace,
        dir: join(lab.dir, 'dp'),
        overrides: { drillsFile: drills, maxSas: 600, eventHistory: 16 },
      }),
    );
    client = new ContractClient(dataplane.target);
    await client.acquire();
  });

  after(async () => {
    client[Symbol.dispose]();
    await lab[Symbol.asyncDispose]();
  });

  async function refusal(sa: Sa): Promise<{ code: ResultCode; message: string }> {
    const { code, message } = await client.one(addSa(sa));
    return { code, message };
  }

  async function setDrills(text: string): Promise<void> {
    await writeFile(`${drills}.new`, text);
    await rename(`${drills}.new`, drills);
  }

  it('says what it can do', async () => {
    const capabilities = await client.capabilities();
    assert.equal(capabilities.bootId.length, 16);
    assert.equal(capabilities.routeInterface, 'ipsec0');
    const { encryption, integrity } = allAlgorithms();
    // Not Camellia, not MD5, and not SHA-1 in full length.
    const ours = [
      encryption.filter(({ id }) => id < 23 || id > 27),
      integrity.filter(({ id }) => ![1, 6, 7].includes(id)),
    ];
    for (const [index, offered] of [capabilities.encryption, capabilities.integrity].entries()) {
      assert.deepEqual(
        offered.map(({ id, keyBits }) => [id, keyBits]),
        ours[index]?.map(({ id, keyBits }) => [id, keyBits]),
      );
    }
    assert.ok(capabilities.maxReplayWindow >= 4096);
    for (const feature of [Feature.FEATURE_ESN, Feature.FEATURE_TFC])
      assert.ok(capabilities.features.includes(feature));
  });

  it('has a socket that is the owner’s alone', () => {
    const path = dataplane.target.slice('unix://'.length);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  });

  it('answers health checks and reflection', async () => {
    using raw = new RawGrpc(dataplane.target);
    assert.deepEqual([...(await raw.call('/grpc.health.v1.Health/Check', Buffer.alloc(0)))], [8, 1]);
    const listServices = Buffer.from('\x3a\x01*', 'latin1');
    const services = await raw.call(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      listServices,
    );
    assert.match(services.toString('latin1'), /lagopus\.ipsec\.v1\.IpsecService/);
  });

  it('lists what was added, without keys, with a fingerprint under the caller’s nonce', async () => {
    const sa = outbound({ reqid: 7, initialSequence: 1000n });
    const [encryptionKey, integrityKey] = [Buffer.from(sa.encryptionKey), Buffer.from(sa.integrityKey)];
    await client.must(addSa(sa));
    const nonce = randomBytes(32);
    const states = await client.sas({ fingerprintNonce: nonce });
    const state = states.find((candidate) => candidate.sa?.id?.spi === sa.id?.spi);
    assert.ok(state?.sa);
    assert.equal(state.sa.reqid, 7);
    assert.equal(state.sa.encryptionKey.length + state.sa.integrityKey.length, 0);
    assert.equal(state.nextSequence, 1000n);
    assert.equal(state.counters?.idleMs, undefined);
    assert.equal(state.ownerId, 'test');
    assert.equal(state.charonInstanceId.toString(), 'charon-1');
    const data = Buffer.concat([
      Buffer.of(encryptionKey.length >> 8, encryptionKey.length & 255),
      encryptionKey,
      Buffer.of(integrityKey.length >> 8, integrityKey.length & 255),
      integrityKey,
    ]);
    assert.deepEqual(state.keyFingerprint, createHmac('sha256', nonce).update(data).digest());
    const [counters] = (await client.sas({ countersOnly: true })).filter(
      (one) => one.sa?.id?.spi === sa.id?.spi,
    );
    assert.equal(counters?.sa?.reqid, 0);
  });

  it('refuses a nonce that is none', async () => {
    await assert.rejects(client.sas({ fingerprintNonce: randomBytes(3) }), { code: status.INVALID_ARGUMENT });
  });

  it('takes the same SA twice, and does not take another one under its SPI', async () => {
    const sa = inbound({ replayState: { highestSequence: 77n, bitmap: Buffer.of(0b101) } });
    await client.must(addSa(copyOf(sa)));
    const again = await client.one(
      addSa(copyOf(sa, { replayState: undefined, softLifetime: { seconds: 9n, bytes: 0n, packets: 0n } })),
    );
    assert.deepEqual([again.code, again.unchanged], [ResultCode.RESULT_CODE_OK, true]);
    const state = (await client.sas()).find((candidate) => candidate.sa?.id?.spi === sa.id?.spi);
    assert.equal(state?.replayState?.highestSequence, 77n);
    // Beyond the end of a short bitmap numbers count as received.
    assert.deepEqual(state?.replayState?.bitmap, Buffer.of(0b101, 0xff, 0xff, 0xff));

    const otherKeys = await refusal(copyOf(sa, { encryptionKey: randomBytes(20) }));
    assert.equal(otherKeys.code, ResultCode.RESULT_CODE_SPI_COLLISION);
    assert.match(otherKeys.message, /other keys/);
    const otherReqid = await refusal(copyOf(sa, { reqid: 99 }));
    assert.equal(otherReqid.code, ResultCode.RESULT_CODE_SPI_COLLISION);
    assert.match(otherReqid.message, /another reqid/);
  });

  it('deletes with final counters, and answers OK for what is not there', async () => {
    const sa = outbound();
    await client.must(addSa(sa));
    const deleted = await client.one(deleteSa(sa.id));
    assert.equal(deleted.code, ResultCode.RESULT_CODE_OK);
    assert.equal(deleted.counters?.packets, 0n);
    const again = await client.one(deleteSa(sa.id));
    assert.deepEqual(
      [again.code, again.unchanged, again.counters],
      [ResultCode.RESULT_CODE_OK, true, undefined],
    );
  });

  it('keeps the order of a batch, and goes on behind a refused operation', async () => {
    const sa = outbound();
    const before = (await client.apply()).revision;
    const { results, revision } = await client.apply(
      deleteSa(sa.id),
      addSa(copyOf(sa)),
      addSa(copyOf(sa, { cpu: 1 })),
      deleteSa(sa.id),
    );
    assert.deepEqual(
      results.map(({ code, unchanged }) => [code, unchanged]),
      [
        [ResultCode.RESULT_CODE_OK, true],
        [ResultCode.RESULT_CODE_OK, false],
        [ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, false],
        [ResultCode.RESULT_CODE_OK, false],
      ],
    );
    assert.equal(revision, before + 2n);
  });

  it('refuses what it cannot do, with its code and a reason', async () => {
    const any = { value: 1, mask: 1 };
    const id = outbound().id;
    assert.ok(id);
    const cases: readonly (readonly [Partial<Sa>, ResultCode, RegExp])[] = [
      [{ cpu: 1 }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /CPU/],
      [{ ipcomp: 1 }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /IPCOMP/],
      [{ hwOffload: true }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /HW_OFFLOAD/],
      [{ label: Buffer.of(1) }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /LABEL/],
      [{ interface: 'eth0' }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /INTERFACE/],
      [{ innerVrf: 'red' }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /VRF.*tunDevices.*vrf: red/],
      [{ ifIdOut: 1 }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /IF_ID/],
      [{ id: { ...id, mark: any } }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /MARK.*value: 0x1,/],
      [{ id: { ...id, ifId: 1 } }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /IF_ID.*ifId: 1/],
      [{ id: { ...id, outerVrf: 'x' } }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /VRF/],
      [{ requiredFeatures: [Feature.FEATURE_CPU] }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /CPU/],
      [{ id: { ...id, protocol: 108 as Protocol } }, ResultCode.RESULT_CODE_UNSUPPORTED_PROTOCOL, /108/],
      [
        { id: { ...id, protocol: Protocol.PROTOCOL_AH } },
        ResultCode.RESULT_CODE_INVALID,
        /AH has no encryption/,
      ],
      [{ mode: Mode.MODE_BEET }, ResultCode.RESULT_CODE_UNSUPPORTED_MODE, /BEET/],
      [{ mode: Mode.MODE_TRANSPORT, tfc: 1000 }, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, /TFC/],
      [{ encryption: 23 }, ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM, /23/],
      [{ encryption: 0 }, ResultCode.RESULT_CODE_INVALID, /NULL/],
      [{ encryptionKey: randomBytes(29) }, ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM, /128 or 192 or 256/],
      [
        { encryption: 12, encryptionKey: randomBytes(16) },
        ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM,
        /without integrity/,
      ],
      [
        { encryption: 11, encryptionKey: Buffer.alloc(0) },
        ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM,
        /ENCR_NULL without integrity/,
      ],
      [
        { encryption: 11, encryptionKey: Buffer.alloc(0), integrity: 9, integrityKey: randomBytes(20) },
        ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM,
        /AUTH_AES_128_GMAC is for AH/,
      ],
      [{ integrity: 12, integrityKey: randomBytes(32) }, ResultCode.RESULT_CODE_INVALID, /AEAD/],
      [
        { source: { value: Buffer.from('fe800000000000000000000000000001', 'hex') } },
        ResultCode.RESULT_CODE_UNSUPPORTED_ADDRESS_FAMILY,
        /link-local address fe80::1/,
      ],
      [
        { source: { value: Buffer.from('20010db8000000000000000000000001', 'hex') } },
        ResultCode.RESULT_CODE_INVALID,
        /2001:db8::1 and 198\.18\.0\.2 are of two families/,
      ],
      [
        { source: { value: Buffer.from('00000000000000000000ffffc6120001', 'hex') } },
        ResultCode.RESULT_CODE_INVALID,
        /IPv4-mapped/,
      ],
      [{ source: { value: randomBytes(5) } }, ResultCode.RESULT_CODE_INVALID, /4 or 16 bytes/],
      [{ id: undefined }, ResultCode.RESULT_CODE_INVALID, /id/],
      [{ id: { ...id, spi: 255 } }, ResultCode.RESULT_CODE_INVALID, /reserved/],
      [{ id: { ...id, direction: 0 } }, ResultCode.RESULT_CODE_INVALID, /direction/],
      [{ initialSequence: 2n ** 32n }, ResultCode.RESULT_CODE_INVALID, /32 bits/],
      [{ replayWindow: 65537 }, ResultCode.RESULT_CODE_INVALID, /65536/],
      [
        { replayState: { highestSequence: 1n, bitmap: Buffer.of(1) } },
        ResultCode.RESULT_CODE_INVALID,
        /inbound/,
      ],
      [
        { udpEncapsulation: { sourcePort: 0, destinationPort: 4500 } },
        ResultCode.RESULT_CODE_INVALID,
        /port 0/,
      ],
    ];
    for (const [overrides, code, reason] of cases) {
      const answer = await refusal(outbound(overrides));
      assert.equal(answer.code, code, `${JSON.stringify(Object.keys(overrides))}: ${answer.message}`);
      assert.match(answer.message, reason);
    }
    for (const overrides of [
      { esn: true, replayWindow: 0 },
      { esn: true, initialSequence: 2n },
    ]) {
      const answer = await refusal(inbound(overrides));
      assert.equal(answer.code, ResultCode.RESULT_CODE_INVALID);
    }
    const markIn = await refusal(inbound({ setMark: any }));
    assert.equal(markIn.code, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE);
    assert.match(markIn.message, /SET_MARK.*mark_in/);
    const noSelectors = await refusal(inbound({ sourceSelectors: [] }));
    assert.equal(noSelectors.code, ResultCode.RESULT_CODE_INVALID);
    const otherPort = await refusal(
      inbound({ udpEncapsulation: { sourcePort: 4500, destinationPort: 4501 } }),
    );
    assert.equal(otherPort.code, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE);
    const unknownFeature = await refusal(outbound({ requiredFeatures: [99 as Feature] }));
    assert.equal(unknownFeature.code, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE);
    const empty = await client.one({});
    assert.equal(empty.code, ResultCode.RESULT_CODE_INVALID);
    const ahInUdp = await refusal(
      outbound({
        ...{ id: { ...id, protocol: Protocol.PROTOCOL_AH }, encryption: 0, encryptionKey: Buffer.alloc(0) },
        ...{ integrity: 12, integrityKey: randomBytes(32) },
        udpEncapsulation: { sourcePort: 4500, destinationPort: 4500 },
      }),
    );
    assert.equal(ahInUdp.code, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE);
    assert.match(ahInUdp.message, /UDP_ENCAPSULATION.*AH/);
    const two = await client.one({ ...deleteSa(id), ...addSa(outbound()) });
    assert.equal(two.code, ResultCode.RESULT_CODE_INVALID);
  });

  it('refuses an SA beyond its capacity', async () => {
    const room = 600 - (await client.sas()).length;
    const many = Array.from({ length: room }, () => outbound());
    await client.must(...many.map(addSa));
    assert.equal((await refusal(outbound())).code, ResultCode.RESULT_CODE_CAPACITY);
    assert.equal((await client.sas()).length, 600);
    await client.must(...many.map((sa) => deleteSa(sa.id)));
  });

  it('moves an SA and keeps what it is', async () => {
    const sa = inbound({ udpEncapsulation: { sourcePort: 4500, destinationPort: 4500 } });
    await client.must(addSa(sa));
    const [before] = (await client.sas()).filter((one) => one.sa?.id?.spi === sa.id?.spi);
    await client.must({
      updateSa: {
        id: sa.id,
        newSource: address('198.18.0.9'),
        newDestination: address('198.18.0.3'),
        newUdpEncapsulation: { sourcePort: 4600, destinationPort: 4500 },
        newReqid: 0,
      },
    });
    const [moved] = (await client.sas()).filter((one) => one.sa?.id?.spi === sa.id?.spi);
    assert.deepEqual([...(moved?.sa?.id?.destination?.value ?? [])], [198, 18, 0, 3]);
    assert.deepEqual([...(moved?.sa?.source?.value ?? [])], [198, 18, 0, 9]);
    assert.equal(moved?.sa?.udpEncapsulation?.sourcePort, 4600);
    assert.equal(moved?.sa?.reqid, before?.sa?.reqid);
    assert.ok((moved?.ageMs ?? -1n) >= (before?.ageMs ?? 0n));
    const gone = await client.one({
      updateSa: {
        id: sa.id,
        newSource: undefined,
        newDestination: undefined,
        newUdpEncapsulation: undefined,
        newReqid: 0,
      },
    });
    assert.equal(gone.code, ResultCode.RESULT_CODE_NOT_FOUND);
    await client.must(deleteSa(saId(Direction.DIRECTION_INBOUND, sa.id?.spi ?? 0, '198.18.0.3')));
  });

  it('puts, replaces and deletes policies', async () => {
    const match = { source: selector('198.19.1.0/24'), destination: selector('198.19.9.0/24') };
    const policy = samplePolicy({ ...match, spi: 0xc0000001 });
    await client.must(putPolicy(policy));
    assert.equal((await client.one(putPolicy(policy))).unchanged, true);
    assert.equal((await client.one(putPolicy(samplePolicy({ ...match, spi: 0xc0000002 })))).unchanged, false);
    const listed = await client.policies();
    assert.equal(listed.length, 1);
    assert.equal(listed[0]?.policy?.templates[0]?.spi, 0xc0000002);
    assert.equal(listed[0]?.idleMs, undefined);
    const noTemplate = samplePolicy({ ...match, overrides: { templates: [] } });
    assert.equal((await client.one(putPolicy(noTemplate))).code, ResultCode.RESULT_CODE_INVALID);
    const shunt = samplePolicy({ ...match, action: PolicyAction.POLICY_ACTION_BYPASS });
    await client.must(putPolicy(shunt), { deletePolicy: { id: shunt.id } });
    assert.equal((await client.one({ deletePolicy: { id: shunt.id } })).unchanged, true);
    assert.equal((await client.policies()).length, 0);
  });

  it('reserves SPIs nobody else has', async () => {
    const drawn = new Set<number>();
    for (let i = 0; i < 50; i += 1) {
      const request = { protocol: Protocol.PROTOCOL_ESP, source: undefined, destination: undefined };
      const { code, spi } = await client.one({ reserveSpi: request });
      assert.equal(code, ResultCode.RESULT_CODE_OK);
      assert.ok(spi >= 0xc0000000 && spi <= 0xcfffffff);
      drawn.add(spi);
    }
    assert.equal(drawn.size, 50);
  });

  it('fences an old writer and keeps owners apart', async () => {
    using first = new ContractClient(dataplane.target, 'fenced');
    using second = new ContractClient(dataplane.target, 'fenced');
    await assert.rejects(first.apply(), { code: status.FAILED_PRECONDITION });
    await first.acquire();
    const sa = outbound();
    await first.must(addSa(copyOf(sa)));
    await second.acquire();
    assert.equal(second.epoch, first.epoch + 1n);
    await assert.rejects(first.apply(deleteSa(sa.id)), {
      code: status.FAILED_PRECONDITION,
      message: /fenced/,
    });

    await assert.rejects(first.reportInSync(), { code: status.FAILED_PRECONDITION, message: /fenced/ });
    await second.reportInSync();

    const other = await client.one(addSa(copyOf(sa)));
    assert.equal(other.code, ResultCode.RESULT_CODE_SPI_COLLISION);
    assert.equal((await client.one(deleteSa(sa.id))).code, ResultCode.RESULT_CODE_SPI_COLLISION);
    assert.deepEqual(
      (await client.sas({ ownerId: 'fenced' })).map((one) => one.sa?.id?.spi),
      [sa.id?.spi],
    );
    await second.must(deleteSa(sa.id));
  });

  it('says of itself that it waits for nobody, and has no scarce places for SPIs', async () => {
    const { bootId, waitsForInSync } = await client.capabilities();
    assert.equal(waitsForInSync, false);
    assert.deepEqual(await client.status(), { bootId, spiSlots: [], notes: [] });
  });

  it('answers a stream in order, refusals of whole requests included', async () => {
    const stream = client.grpc.applyStream();
    const responses: ApplyStreamResponse[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      stream.on('data', (response: ApplyStreamResponse) => responses.push(response));
      stream.on('end', resolve);
      stream.on('error', reject);
    });
    const sa = outbound();
    const fenced = {
      ...client.request([]),
      writer: { ownerId: 'test', epoch: 12345n, charonInstanceId: Buffer.alloc(0) },
    };
    stream.write(ApplyStreamRequest.create({ apply: client.request([addSa(sa)]) }));
    stream.write(ApplyStreamRequest.create({ apply: fenced }));
    stream.write(ApplyStreamRequest.create({}));
    stream.write(ApplyStreamRequest.create({ apply: client.request([deleteSa(sa.id)]) }));
    stream.end();
    await ended;
    assert.deepEqual(
      responses.map(({ apply, error }) => error?.status ?? apply?.results[0]?.code),
      [
        ResultCode.RESULT_CODE_OK,
        status.FAILED_PRECONDITION,
        status.INVALID_ARGUMENT,
        ResultCode.RESULT_CODE_OK,
      ],
    );
  });

  it('refuses a batch that is too large, without applying any of it', async () => {
    const operations = Array.from({ length: 1025 }, () => deleteSa(outbound().id));
    await assert.rejects(client.apply(...operations), { code: status.INVALID_ARGUMENT, message: /1024/ });
  });

  it('refuses malformed protobuf and bytes that are no HTTP/2, on that call and connection only', async () => {
    using raw = new RawGrpc(dataplane.target);
    const malformed = Buffer.from('ffffffffffff', 'hex');
    for (const method of ['Apply', 'ApplyStream', 'ListSas']) {
      const path = `/lagopus.ipsec.v1.IpsecService/${method}`;
      await assert.rejects(raw.call(path, malformed), /grpc-status 13/, method);
    }
    assert.deepEqual([...(await raw.call('/grpc.health.v1.Health/Check', Buffer.alloc(0)))], [8, 1]);
    const socket = connectTo(dataplane.target);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(randomBytes(4096));
    await closed;
    await client.must();
  });

  it('ends SAs at their hard lifetime and says so, and resumes events where a watcher left', async () => {
    using watcher = new EventWatcher(client);
    const boot = await watcher.next();
    assert.ok(boot.boot);
    const sa = outbound({
      softLifetime: { seconds: 1n, bytes: 0n, packets: 0n },
      hardLifetime: { seconds: 2n, bytes: 0n, packets: 0n },
      reqid: 5,
    });
    await client.must(addSa(sa));
    const soft = await watcher.next();
    assert.deepEqual([soft.expire?.hard, soft.expire?.reqid, soft.id], [false, 5, boot.id + 1n]);
    assert.ok((await client.sas()).some((one) => one.sa?.id?.spi === sa.id?.spi));
    const hard = await watcher.next();
    assert.deepEqual([hard.expire?.hard, hard.expire?.id?.spi], [true, sa.id?.spi]);
    assert.ok(!(await client.sas()).some((one) => one.sa?.id?.spi === sa.id?.spi));

    using resumed = new EventWatcher(client, { after: soft.id, bootId: soft.bootId });
    assert.deepEqual((await resumed.next()).boot, {});
    assert.equal((await resumed.next()).id, hard.id);
    using lost = new EventWatcher(client, { after: 3n, bootId: randomBytes(16) });
    await lost.next();
    assert.deepEqual((await lost.next()).gap, {});
  });

  it('refuses by drill, as soon as the drills file says so', async () => {
    await setDrills(
      'refuse: [{ operation: add_sa, direction: inbound, code: unsupported_algorithm, skip: 1, count: 1 }]',
    );
    await client.must(addSa(inbound()), addSa(outbound()));
    const refused = await client.one(addSa(inbound()));
    assert.deepEqual(
      [refused.code, refused.message],
      [ResultCode.RESULT_CODE_UNSUPPORTED_ALGORITHM, 'refused by a drill'],
    );
    await client.must(addSa(inbound()));
    await setDrills('refuse: [{ operation: put_policy, code: temporary, message: not now }]');
    const policy = samplePolicy({ source: selector('198.19.1.1'), destination: selector('198.19.2.1') });
    assert.equal((await client.one(putPolicy(policy))).message, 'not now');
    await setDrills('{}');
    await client.must(putPolicy(policy), { deletePolicy: { id: policy.id } });
  });

  it('tells the revision of one owner, and of all', async () => {
    using other = new ContractClient(dataplane.target, 'other');
    await other.acquire();
    const before = await client.revisions('test', 'other', '');
    const [ours, theirs] = [outbound(), outbound()];
    await client.must(addSa(ours), deleteSa(ours.id));
    await other.must(addSa(theirs), addSa(theirs));
    const after = await client.revisions('test', 'other', '');
    assert.deepEqual(
      after.map((revision, index) => revision - (before[index] ?? 0n)),
      [2n, 1n, 3n],
    );
    await other.must(deleteSa(theirs.id));
  });

  it('lists what carried packets since an earlier listing', async () => {
    const sa = outbound();
    await client.must(addSa(sa));
    const [first] = await client.saChunks({});
    assert.ok(first !== undefined && first.listedAtMs > 0n);
    const later = await client.saChunks({ usedSinceMs: first.listedAtMs });
    assert.deepEqual(
      later.map(({ sas, complete }) => [sas.length, complete]),
      [[0, true]],
    );
    await client.must(deleteSa(sa.id));
  });

  it('lists in chunks of one revision', async () => {
    const many = Array.from({ length: 520 }, () => outbound());
    await client.must(...many.map(addSa));
    const chunks = [];
    for await (const chunk of client.grpc.listSas({
      ownerId: 'test',
      fingerprintNonce: Buffer.alloc(0),
      countersOnly: true,
      usedSinceMs: 0n,
    })) {
      chunks.push(chunk);
    }
    assert.ok(chunks.length >= 3);
    assert.equal(new Set(chunks.map(({ revision }) => revision)).size, 1);
    assert.deepEqual(
      chunks.map(({ complete }) => complete),
      chunks.map((_, index) => index === chunks.length - 1),
    );
    await client.must(...many.map((sa) => deleteSa(sa.id)));
  });

  it('will not take the place of one that answers, and takes that of one that is dead', async () => {
    const dir = join(lab.dir, 'dp');
    const second = await lab.namespace('second');
    await assert.rejects(
      DataplaneProcess.start({ namespace: second, dir, overrides: {} }).then(async (one) => {
        // It was the first one that answered: the second has to end by itself.
        const exit = await Promise.race([one.process.exited, delay(5_000)]);
        await one[Symbol.asyncDispose]();
        throw new Error(`ended ${JSON.stringify(exit)}`);
      }),
      /another process serves|ended \{"code":1/,
    );
    await client.must();

    const stale = join(lab.dir, 'stale');
    const first = await DataplaneProcess.start({ namespace: second, dir: stale, overrides: {} });
    first.process.signal('SIGKILL');
    await first.process.exited;
    await first[Symbol.asyncDispose]();
    assert.ok(existsSync(join(stale, 'dataplane.sock')));
    await using again = await DataplaneProcess.start({ namespace: second, dir: stale, overrides: {} });
    using other = new ContractClient(again.target);
    assert.notDeepEqual((await other.capabilities()).bootId, (await client.capabilities()).bootId);
  });

  it('stops on SIGTERM: watchers end, the socket goes, the TUN device stays', async () => {
    const dir = join(lab.dir, 'stop');
    const place = await lab.namespace('stop');
    const one = await DataplaneProcess.start({ namespace: place, dir, overrides: {} });
    using other = new ContractClient(one.target);
    using watcher = new EventWatcher(other);
    await watcher.next();
    await one[Symbol.asyncDispose]();
    assert.equal(existsSync(join(dir, 'dataplane.sock')), false);
    assert.match(await place.ip('link', 'show', 'ipsec0'), /ipsec0/);
    await using again = await DataplaneProcess.start({
      namespace: place,
      dir,
      overrides: { tun: { persist: false } },
    });
    await again[Symbol.asyncDispose]();
    await assert.rejects(place.ip('link', 'show', 'ipsec0'));
  });
});
