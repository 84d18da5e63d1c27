import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ViciTunnels } from '../../src/agent/vici-tunnels.ts';
import type { InitiateOutcome } from '../../src/sync/index.ts';
import { type ViciArguments, ViciClient } from '../../src/vici/index.ts';
import { FakeCharon, type FakeCommand } from '../support/fake-charon.ts';
import type { ScriptedIkeSa } from '../support/fake-sas.ts';
import { TempDir } from '../support/temp-dir.ts';
import { sampleChild, sampleIke } from '../vici/samples.ts';

const NET = { ike: 'gw', child: 'net' };

/** Everything between a test and charon's socket. */
async function withTunnels<T>(
  commands: Readonly<Record<string, FakeCommand>>,
  run: (tunnels: ViciTunnels, charon: FakeCharon) => Promise<T>,
): Promise<T> {
  await using dir = new TempDir();
  await using charon = await FakeCharon.listen(dir.file('vici'), { commands });
  await using client = new ViciClient({ uri: `unix://${dir.file('vici')}` });
  return await run(new ViciTunnels(client), charon);
}

/** A charon with one connection, or with none that it lists. */
function connections(
  connection: ViciArguments | undefined,
  initiate: ViciArguments = { success: 'yes' },
  names: readonly string[] = [],
): Readonly<Record<string, FakeCommand>> {
  return {
    'list-conns': () => ({ events: connection === undefined ? [] : [['list-conn', { gw: connection }]] }),
    'get-conns': () => ({ reply: { conns: names } }),
    initiate: () => ({ reply: initiate }),
  };
}

function loaded(remoteAddrs: readonly string[], children: ViciArguments = { net: {} }): ViciArguments {
  return { local_addrs: ['198.18.0.1'], remote_addrs: remoteAddrs, children };
}

function initiate(commands: Readonly<Record<string, FakeCommand>>): Promise<InitiateOutcome> {
  return withTunnels(commands, (tunnels) => tunnels.initiateChildSa(NET));
}

test('initiates by both names, and does not wait until it is up', async () => {
  await withTunnels(connections(loaded(['198.18.0.2'])), async (tunnels, charon) => {
    assert.deepEqual(await tunnels.initiateChildSa(NET), { kind: 'started' });
    const asked = charon.asked.find(({ command }) => command === 'initiate')?.args;
    assert.deepEqual(
      ['ike', 'child', 'timeout'].map((field) => asked?.text(field)),
      ['gw', 'net', '-1'],
    );
  });
});

test('passes on why charon failed to initiate', async () => {
  const failure = { success: 'no', errmsg: 'establishing failed' };
  assert.deepEqual(await initiate(connections(loaded(['198.18.0.2']), failure)), {
    kind: 'failed',
    reason: 'establishing failed',
  });
});

test('a peer without an address of its own is not initiated to', async () => {
  for (const addresses of [
    ['%any'],
    ['198.18.0.0/24', '%any6'],
    ['198.18.0.1-198.18.0.9'],
    ['2001:db8::/32'],
  ]) {
    const outcome = await initiate(connections(loaded(addresses)));
    assert.equal(outcome.kind, 'impossible', addresses.join());
  }
  for (const addresses of [['198.18.0.2'], ['%any', '2001:db8::1'], ['gw-1.test'], ['dead-beef.test']]) {
    assert.equal((await initiate(connections(loaded(addresses)))).kind, 'started', addresses.join());
  }
});

test('what is not configured any more is impossible, what is only too large to be listed is not', async () => {
  const failure = { success: 'no', errmsg: 'CHILD_SA config not found' };
  const kinds = await Promise.all([
    initiate(connections(loaded(['198.18.0.2'], { other: {} }))),
    initiate(connections(undefined, failure)),
    initiate(connections(undefined, failure, ['gw'])),
    initiate(connections(undefined)),
  ]);
  assert.deepEqual(
    kinds.map(({ kind }) => kind),
    ['impossible', 'impossible', 'failed', 'started'],
  );
});

test('tells whether charon is setting something up, and of one CHILD_SA only', async () => {
  const ike = (name: string, fields: ViciArguments, children: readonly ViciArguments[]): ScriptedIkeSa => ({
    name,
    fields: { ...sampleIke(), ...fields },
    children,
  });
  await withTunnels({}, async (tunnels, charon) => {
    charon.sas = [
      ike('gw', { uniqueid: '1' }, [
        sampleChild({ name: 'net', uniqueid: '1', state: 'REKEYED' }),
        sampleChild({ name: 'net', uniqueid: '2', state: 'INSTALLED' }),
        sampleChild({ name: 'other', uniqueid: '3', state: 'DELETED' }),
      ]),
      ike('gw', { uniqueid: '2', state: 'CONNECTING' }, []),
      ike('gw', { uniqueid: '3', 'tasks-active': ['CHILD_CREATE'] }, []),
      ike('gw', { uniqueid: '4', 'tasks-queued': ['QUICK_MODE'] }, []),
      ike('gw', { uniqueid: '5', 'tasks-passive': ['CHILD_REKEY', 'IKE_DPD'] }, []),
      ike('away', { uniqueid: '6' }, []),
    ];
    assert.deepEqual(await tunnels.listIkeSas(NET), [
      { isSettingUp: false, childStates: ['REKEYED', 'INSTALLED'] },
      { isSettingUp: true, childStates: [] },
      { isSettingUp: true, childStates: [] },
      { isSettingUp: true, childStates: [] },
      { isSettingUp: false, childStates: [] },
    ]);
    assert.deepEqual(await tunnels.listIkeSas({ ike: 'none', child: 'net' }), []);
    assert.equal(charon.asked[0]?.args.text('noblock'), 'yes');
  });
});
