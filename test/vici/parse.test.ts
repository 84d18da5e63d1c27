import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChildSa } from '../../src/vici/child-sa.ts';
import { parseEvent } from '../../src/vici/events.ts';
import { parseListedIkeSa } from '../../src/vici/ike-sa.ts';
import {
  decodeMessage,
  decodePacket,
  encodeMessage,
  SegmentSplitter,
  type ViciArguments,
  type ViciSection,
} from '../../src/vici/index.ts';
import { parseViciUri } from '../../src/vici/vici-uri.ts';
import { recordedListSas, sampleChild, sampleIke } from './samples.ts';

function message(args: ViciArguments): ViciSection {
  return decodeMessage(encodeMessage(args));
}

test('reads an IKE_SA with its CHILD_SAs', () => {
  const ike = parseListedIkeSa(
    message({ gw: sampleIke({ 'remote-vips': ['198.19.0.9'], 'child-sas': { 'net-7': sampleChild() } }) }),
  );
  assert.equal(ike.name, 'gw');
  assert.equal(ike.uniqueId, 3);
  assert.deepEqual(ike.remote, { host: '198.18.0.2', port: 4500, id: 'right' });
  assert.deepEqual([ike.initiator, ike.natLocal, ike.natRemote], [true, false, true]);
  assert.deepEqual(ike.encryption, { name: 'AES_CBC', keyBits: 128 });
  assert.deepEqual(ike.remoteVips, ['198.19.0.9']);
  assert.deepEqual([...ike.children.keys()], [7]);
  const child = ike.children.get(7);
  assert.deepEqual(child?.remoteTs, ['198.19.2.0/24', '198.19.3.0/24']);
  assert.deepEqual(child?.installed, {
    protocol: 'ESP',
    encap: true,
    esn: false,
    inbound: {
      spi: 0xc0a80001,
      cpi: undefined,
      mark: undefined,
      ifId: undefined,
      bytes: 2n ** 64n - 1n,
      packets: 3n,
      usedSecondsAgo: undefined,
    },
    outbound: {
      spi: 0xc0a80002,
      cpi: undefined,
      mark: undefined,
      ifId: undefined,
      bytes: 84n,
      packets: 1n,
      usedSecondsAgo: 4,
    },
    encryption: { name: 'AES_GCM_16', keyBits: 128 },
    integrity: undefined,
    dhGroup: undefined,
    additionalKeyExchanges: [],
    cpu: undefined,
    installedSecondsAgo: 5,
    rekeyInSeconds: -3,
    lifeInSeconds: 3600,
  });
});

test('reads all 1,000 IKE_SAs that a real charon listed', () => {
  const ids = new Set<number>();
  for (const { bytes } of new SegmentSplitter().push(recordedListSas())) {
    const packet = decodePacket(bytes);
    if (packet.kind !== 'event') continue;
    const ike = parseListedIkeSa(decodeMessage(packet.message));
    ids.add(ike.uniqueId);
    const [child, ...others] = ike.children.values();
    assert.equal(others.length, 0);
    assert.equal(child?.state, 'INSTALLED');
    assert.equal(child.installed?.protocol, 'ESP');
    assert.deepEqual(child.installed.encryption, { name: 'AES_GCM_16', keyBits: 128 });
  }
  assert.equal(ids.size, 1_000);
});

test('reads marks with and without a mask, and interface ids', () => {
  const child = parseChildSa(
    message(
      sampleChild({
        'mark-in': '0000002a',
        'mark-out': '2',
        'mark-mask-out': '0000ffff',
        'if-id-in': '00000007',
      }),
    ),
  );
  assert.deepEqual(child.installed?.inbound.mark, { value: 42, mask: 0xffffffff });
  assert.deepEqual(child.installed?.outbound.mark, { value: 2, mask: 0xffff });
  assert.deepEqual([child.installed?.inbound.ifId, child.installed?.outbound.ifId], [7, undefined]);
});

test('reads a CHILD_SA that is not installed yet', () => {
  const child = parseChildSa(
    message({
      name: 'net',
      uniqueid: 8,
      reqid: 2,
      state: 'INSTALLING',
      mode: 'TUNNEL',
      'local-ts': [],
      'remote-ts': [],
    }),
  );
  assert.equal(child.state, 'INSTALLING');
  assert.equal(child.installed, undefined);
});

test('says which field of which SA makes no sense', () => {
  const cases = [
    [
      sampleChild({ 'spi-in': 'c0a8000x' }),
      /CHILD_SA net #7: spi-in is "c0a8000x", expected a hexadecimal number/,
    ],
    [sampleChild({ 'bytes-in': '-1' }), /bytes-in is "-1", expected a counter/],
    [sampleChild({ reqid: undefined }), /reqid is nothing, expected a number/],
    [sampleChild({ reqid: '' }), /reqid is "", expected a number/],
  ] as const;
  for (const [child, problem] of cases) {
    assert.throws(() => parseChildSa(message(child)), { code: 'malformed', message: problem });
  }
  assert.throws(() => parseListedIkeSa(message({})), { code: 'malformed', message: /expected one section/ });
});

test('reads the events, the rekey ones with old and new', () => {
  const up = parseEvent(
    'child-updown',
    message({ up: 'yes', gw: sampleIke({ 'child-sas': { 'net-7': sampleChild() } }) }),
  );
  assert.ok(up.kind === 'child-updown' && up.isUp && up.ike.children.has(7));
  const down = parseEvent('ike-updown', message({ gw: sampleIke() }));
  assert.ok(down.kind === 'ike-updown' && !down.isUp && down.ike.children.size === 0);

  const ikeRekey = parseEvent(
    'ike-rekey',
    message({ gw: { old: sampleIke(), new: sampleIke({ uniqueid: 4 }) } }),
  );
  assert.ok(ikeRekey.kind === 'ike-rekey');
  assert.deepEqual([ikeRekey.old.uniqueId, ikeRekey.new.uniqueId], [3, 4]);

  const pair = { old: sampleChild(), new: sampleChild({ uniqueid: 8 }) };
  const childRekey = parseEvent('child-rekey', message({ gw: sampleIke({ 'child-sas': { net: pair } }) }));
  assert.ok(childRekey.kind === 'child-rekey');
  assert.deepEqual([childRekey.ike.uniqueId, childRekey.old.uniqueId, childRekey.new.uniqueId], [3, 7, 8]);

  const update = parseEvent(
    'ike-update',
    message({
      'local-host': '198.18.0.9',
      'local-port': '4500',
      'remote-host': '198.18.0.2',
      'remote-port': '4501',
      gw: sampleIke(),
    }),
  );
  assert.ok(update.kind === 'ike-update');
  assert.deepEqual(update.local, { host: '198.18.0.9', port: 4500 });
  assert.equal(update.remote.port, 4501);
  assert.equal(update.ike.local.host, '198.18.0.1');

  const log = parseEvent(
    'log',
    message({
      group: 'IKE',
      level: 1,
      thread: 7,
      'ikesa-name': 'gw',
      'ikesa-uniqueid': 3,
      msg: 'sending DELETE',
    }),
  );
  assert.deepEqual(log, {
    kind: 'log',
    log: { group: 'IKE', level: 1, thread: 7, ikeName: 'gw', ikeId: 3, text: 'sending DELETE' },
  });

  const alert = parseEvent('alert', message({ type: 'ts-mismatch', 'ike-sa': { gw: sampleIke() } }));
  assert.ok(alert.kind === 'alert' && alert.type === 'ts-mismatch' && alert.ike?.uniqueId === 3);
  const lonely = parseEvent('alert', message({ type: 'shutdown-signal' }));
  assert.ok(lonely.kind === 'alert' && lonely.ike === undefined);

  const other = parseEvent('weather', message({ sky: 'blue' }));
  assert.ok(other.kind === 'other' && other.message.text('sky') === 'blue');
  assert.throws(() => parseEvent('child-rekey', message({ gw: sampleIke() })), { code: 'malformed' });
});

test('reads URIs of both kinds and refuses others', () => {
  assert.deepEqual(parseViciUri('unix:///run/charon.vici'), { kind: 'unix', path: '/run/charon.vici' });
  assert.deepEqual(parseViciUri('tcp://[2001:db8::1]:4502'), {
    kind: 'tcp',
    host: '2001:db8::1',
    port: 4502,
  });
  for (const uri of [
    '/run/charon.vici',
    'unix://run',
    'tcp://host',
    'tcp://host:0',
    'tcp://host:70000',
    '',
  ]) {
    assert.throws(() => parseViciUri(uri), { code: 'invalid-input' }, uri);
  }
});
