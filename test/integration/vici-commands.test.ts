import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ListedCertificate,
  summarizeIkeSa,
  type ViciEvent,
  type ViciGap,
} from '../../src/vici/index.ts';
import { CHILD_NAME, eventually, IKE_NAME, Lab, TestCa } from '../support/index.ts';
import {
  connectionConfig,
  loadViciTunnel,
  STRONGSWAN_VERSIONS,
  startViciPair,
  type ViciPair,
  whyNot,
} from '../support/vici-pair.ts';

const done = { kind: 'done' } as const;

async function collect<T>(stream: AsyncIterable<T>): Promise<readonly T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function nextEvent(events: AsyncIterator<ViciEvent | ViciGap>): Promise<ViciEvent | ViciGap> {
  const late = sleep(15_000, undefined, { ref: false }).then(() => assert.fail('no event within 15 s'));
  const { value, done } = await Promise.race([events.next(), late]);
  assert.ok(done !== true, 'the events ended');
  return value;
}

/** The next events, by what they tell. */
async function nextEvents(
  events: AsyncIterator<ViciEvent | ViciGap>,
  count: number,
): Promise<readonly string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const value = await nextEvent(events);
    seen.push('isUp' in value ? `${value.kind} ${value.isUp ? 'up' : 'down'}` : value.kind);
  }
  return seen;
}

for (const version of STRONGSWAN_VERSIONS) {
  const reason = whyNot(version);
  const withPair = (name: string, body: (pair: ViciPair, lab: Lab) => Promise<void>): void => {
    test(`charon ${version}: ${name}`, { timeout: 60_000 }, async (context: TestContext) => {
      if (reason !== undefined) return context.skip(`NOT RUN: ${reason}`);
      await using lab = await Lab.create();
      await body(await startViciPair(lab, version), lab);
    });
  };

  withPair('SAs, policies and events, loaded over VICI alone', async (pair) => {
    const { vici, left, right } = pair;
    assert.equal((await vici.version()).version, version);
    await loadViciTunnel(pair);
    assert.deepEqual(await vici.getConns(), [IKE_NAME]);
    assert.deepEqual(await vici.getShared(), ['psk']);
    const [conn] = await collect(vici.listConns({ ike: IKE_NAME }));
    assert.deepEqual(conn?.localAddresses, [left.outer]);
    assert.deepEqual([conn.version, conn.local[0]?.class], ['IKEv2', 'pre-shared key']);
    assert.deepEqual(conn.children[0]?.remoteTs, [right.innerNet]);
    assert.equal(conn.children[0]?.rekeyBytes, 0n);

    const target = { child: CHILD_NAME, ike: IKE_NAME };
    assert.deepEqual(await vici.install(target), done);
    const policies = await collect(vici.listPolicies());
    assert.deepEqual(
      policies.map(({ child, ike, mode }) => ({ child, ike, mode })),
      [{ ...target, mode: 'TUNNEL' }],
    );
    assert.deepEqual(await collect(vici.listPolicies({ drop: true })), []);
    assert.deepEqual(await vici.uninstall(target), done);
    assert.deepEqual(await collect(vici.listPolicies()), []);

    const names = ['ike-updown', 'ike-rekey', 'ike-update', 'child-updown', 'child-rekey'];
    await using subscription = await vici.subscribe(names);
    const events = subscription[Symbol.asyncIterator]();
    await using log = await vici.subscribe(['log']);

    const steps = await collect(vici.followInitiate({ child: CHILD_NAME }, { logLevel: 2 }));
    assert.deepEqual(steps.at(-1), done);
    const logged = steps.flatMap((step) => (step.kind === 'log' ? [step.log] : []));
    assert.ok(logged.some(({ group, text }) => group === 'IKE' && text.includes('established')));
    assert.ok(logged.every(({ level }) => level <= 2));
    assert.deepEqual(await nextEvents(events, 2), ['ike-updown up', 'child-updown up']);
    for await (const line of log) {
      assert.ok(line.kind === 'log' && line.log.level <= 1);
      if (line.log.ikeName === IKE_NAME) break;
    }

    const listing = await vici.listSasComplete();
    assert.deepEqual([listing.isComplete, listing.total, listing.recovered.size], [true, 1, 0]);
    const [ike] = listing.ikeSas.values();
    const [child] = ike?.children.values() ?? [];
    assert.ok(ike !== undefined && child?.state === 'INSTALLED');
    assert.deepEqual(await collect(vici.listSaSummaries()), [summarizeIkeSa(ike)]);

    // What a complete listing finds dropped IKE_SAs by.
    const bare = await collect(vici.listSas({ childId: 0x7fffffff }));
    assert.deepEqual(
      bare.map(({ uniqueId, children }) => [uniqueId, children.size]),
      [[ike.uniqueId, 0]],
    );

    const ids = { ikeId: ike.uniqueId, childId: child.uniqueId };
    assert.equal((await collect(vici.listSas({ ...ids, noblock: true }))).length, 1);
    assert.deepEqual(await vici.rekey(ids), { kind: 'done', matches: 1 });
    assert.deepEqual(await nextEvents(events, 1), ['child-rekey']);
    assert.deepEqual(await vici.rekey({ ikeId: ike.uniqueId }), { kind: 'done', matches: 1 });
    assert.deepEqual(await nextEvents(events, 1), ['ike-rekey']);

    const [renewed] = await collect(vici.listSaSummaries());
    const childId = renewed?.children.find(({ state }) => state === 'INSTALLED')?.uniqueId;
    const down = await vici.terminate({ ikeId: renewed?.uniqueId, childId });
    assert.deepEqual(down, { kind: 'done', matches: 1 });
    assert.deepEqual(await nextEvents(events, 1), ['child-updown down']);
    assert.deepEqual(await vici.initiate({ child: CHILD_NAME }), done);
    assert.deepEqual(await nextEvents(events, 1), ['child-updown up']);

    // MOBIKE: another address, then the first one goes.
    await left.namespace.addAddress('eth0', '198.18.0.9/25');
    await left.namespace.ip('address', 'delete', `${left.outer}/24`, 'dev', 'eth0');
    const update = await nextEvent(events);
    assert.ok(update.kind === 'ike-update', update.kind);
    assert.equal(update.local.host, '198.18.0.9');
    assert.equal(update.ike.local.host, left.outer);
    await eventually('the update', async () =>
      (await collect(vici.listSas())).some(
        ({ local, tasks }) => local.host === '198.18.0.9' && tasks.active.length === 0,
      ),
    );

    // kernel-libipsec cannot move an SA: it may have been rekeyed in the meantime.
    const ended = await collect(vici.followTerminate({ ikeId: renewed?.uniqueId }));
    assert.deepEqual(ended.at(-1), { kind: 'done', matches: 1 });
    let last = await nextEvents(events, 1);
    while (last[0] === 'child-rekey') last = await nextEvents(events, 1);
    assert.deepEqual([...last, ...(await nextEvents(events, 1))], ['ike-updown down', 'child-updown down']);
    assert.equal((await vici.loadSas()).ikeSas.size, 0);

    assert.deepEqual(await vici.unloadConn(IKE_NAME), done);
    assert.deepEqual(await vici.unloadShared('psk'), done);
    assert.deepEqual([await vici.getConns(), await vici.getShared()], [[], []]);
  });

  withPair('certificates, keys, authorities and pools', async ({ vici, left, right }, lab) => {
    const dir = join(lab.dir, 'credentials');
    const ca = await TestCa.create(join(lab.dir, 'ca'));
    await ca.issueTo('left.test', dir);
    const file = (...path: readonly string[]): Promise<Buffer> => readFile(join(dir, ...path));
    const caCert = await file('x509ca', 'ca.pem');
    const certificate = { type: 'X509', data: await file('x509', 'cert.pem') } as const;

    assert.deepEqual(await vici.loadCert({ type: 'X509', flag: 'CA', data: caCert }), done);
    assert.deepEqual(await vici.loadCert(certificate), done);
    const key = await vici.loadKey({ type: 'any', data: await file('private', 'key.pem') });
    assert.ok(key.kind === 'done', JSON.stringify(key));
    assert.deepEqual(await vici.getKeys(), [key.keyId]);
    const kinds = ({ type, flag, hasPrivateKey }: ListedCertificate): unknown => [type, flag, hasPrivateKey];
    assert.deepEqual((await collect(vici.listCerts())).map(kinds), [
      ['X509', 'NONE', true],
      ['X509', 'CA', false],
    ]);
    assert.deepEqual((await collect(vici.listCerts({ type: 'X509', flag: 'CA' }))).map(kinds), [
      ['X509', 'CA', false],
    ]);
    const refused = await vici.loadCert({ ...certificate, flag: 'CA' });
    assert.ok(refused.kind === 'failed' && /CA/.test(refused.reason));
    const config = connectionConfig(left, right, { local: { auth: 'pubkey', certs: [certificate.data] } });
    assert.deepEqual(await vici.loadConn('certified', config), done);
    const [conn] = await collect(vici.listConns());
    assert.deepEqual(conn?.local[0]?.certs, ['CN=left.test']);
    assert.equal((await vici.loadConn('wrong', { nonsense: true })).kind, 'failed');

    const authority = { cacert: caCert.toString(), crl_uris: ['http://crl.test/'] };
    assert.deepEqual(await vici.loadAuthority('test', authority), done);
    assert.deepEqual(await vici.getAuthorities(), ['test']);
    const [listed] = await collect(vici.listAuthorities());
    assert.deepEqual(
      [listed?.name, listed?.caCert, listed?.crlUris],
      ['test', 'CN=Test CA', ['http://crl.test/']],
    );
    assert.deepEqual(await vici.unloadAuthority('test'), done);
    assert.equal((await vici.unloadAuthority('test')).kind, 'failed');

    assert.deepEqual(await vici.loadPool('road', { addrs: '198.19.9.0/24', dns: ['198.19.9.1'] }), done);
    // The first address since 6.0, the subnet's own before.
    const base = version === '5.9.8' ? '198.19.9.0' : '198.19.9.1';
    assert.deepEqual(await vici.getPools({ leases: true }), [
      { name: 'road', base, size: 254, online: 0, offline: 0, leases: [] },
    ]);
    assert.deepEqual(await vici.unloadPool('road'), done);
    assert.deepEqual(await vici.getPools(), []);

    assert.deepEqual(await vici.flushCerts({ type: 'X509_CRL' }), done);
    assert.deepEqual(await vici.unloadKey(key.keyId), done);
    assert.equal((await vici.unloadKey(key.keyId)).kind, 'failed');
    assert.equal((await vici.loadToken({ handle: 'c0ffee' })).kind, 'failed');
    assert.deepEqual(await vici.clearCreds(), done);
    assert.deepEqual(await vici.getKeys(), []);
  });

  withPair('the daemon itself, and what it does not know', async ({ vici }) => {
    const { ikeSas, workers, plugins, memory } = await vici.stats();
    assert.equal(ikeSas.total, 0);
    assert.ok(workers.total > workers.idle && plugins.includes('vici') && (memory?.used ?? 0) > 0);
    assert.deepEqual(await vici.reloadSettings(), done);
    const algorithms = await vici.getAlgorithms();
    assert.ok(algorithms.some(({ type, name }) => type === 'aead' && name.startsWith('AES_GCM')));
    assert.ok(algorithms.some(({ type, name }) => /^(dh|ke)$/.test(type) && name === 'CURVE_25519'));
    const counters = await vici.getCounters();
    assert.ok(counters.kind === 'done' && counters.counters.get('')?.get('ike-init-out-req') === 0n);
    assert.equal((await vici.getCounters({ name: 'nobody' })).kind, 'failed');
    assert.deepEqual(await vici.resetCounters({ all: true }), done);

    const redirected = await vici.redirect({ peerIp: '198.18.0.0/16' }, '198.18.0.3');
    assert.ok(redirected.kind === 'failed' && /no matching SAs/.test(redirected.reason));
    assert.equal((await vici.install({ child: 'nothing' })).kind, 'failed');
    assert.equal((await vici.uninstall({ child: 'nothing' })).kind, 'failed');
    assert.equal((await vici.unloadConn('nothing')).kind, 'failed');
    await assert.rejects(vici.subscribe(['alert']), { code: 'unsupported' });
    await assert.rejects(vici.request('fly'), { code: 'unsupported' });
  });
}
