import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ViciArguments, ViciClient } from '../../src/vici/index.ts';
import { FakeCharon } from '../support/fake-charon.ts';
import { fakeStats, type ScriptedIkeSa } from '../support/fake-sas.ts';
import { TempDir } from '../support/temp-dir.ts';
import { sampleChild, sampleIke } from './samples.ts';

function ikeSa(uniqueid: number, childIds: readonly number[], more: ViciArguments = {}): ScriptedIkeSa {
  const children = childIds.map((id) => sampleChild({ uniqueid: id, ...more }));
  return { name: 'gw', fields: sampleIke({ uniqueid }), children };
}

/** 1,600 CHILD_SAs of 400 bytes: more than a message holds, as with a real charon. */
const OVERSIZED = ikeSa(
  7,
  Array.from({ length: 1_600 }, (_, index) => index + 10),
);

async function setUp(...sas: readonly ScriptedIkeSa[]) {
  const stack = new AsyncDisposableStack();
  const path = stack.use(new TempDir()).file('vici');
  const fake = stack.use(await FakeCharon.listen(path));
  fake.sas = [...sas];
  const client = stack.use(new ViciClient({ uri: `unix://${path}` }));
  return { fake, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('asks nothing more when as many IKE_SAs came as charon counts', async () => {
  await using setup = await setUp(ikeSa(1, [1]), ikeSa(2, []));
  const listing = await setup.client.listSasComplete();
  assert.deepEqual([...listing.ikeSas.keys()], [1, 2]);
  assert.deepEqual([listing.isComplete, listing.total, listing.recovered.size], [true, 2, 0]);
  assert.deepEqual(
    setup.fake.asked.map(({ command }) => command),
    ['stats', 'list-sas', 'stats'],
  );
});

test('an IKE_SA too large for a message: loadSas says so, listSasComplete asks for its parts', async () => {
  await using setup = await setUp(ikeSa(1, [1, 2]), OVERSIZED);
  const { client, fake } = setup;
  const plain = await client.loadSas();
  assert.deepEqual([[...plain.ikeSas.keys()], plain.isComplete, fake.dropped], [[1], false, 1]);

  const listing = await client.listSasComplete({ highestChildId: 1_700 });
  assert.equal(listing.isComplete, true);
  assert.deepEqual([...listing.recovered], [7]);
  assert.deepEqual(listing.ikeSas.get(7)?.children.size, 1_600);
  assert.equal(listing.ikeSas.get(7)?.local.id, 'left');
  assert.deepEqual(fake.asked.at(-1)?.args.toJSON(), { 'ike-id': '7', 'child-id': '1700' });
});

test('is in doubt about CHILD_SAs whose ids nobody can know', async () => {
  await using setup = await setUp(OVERSIZED);
  const listing = await setup.client.listSasComplete({ knownChildIds: [12, 13, 5_000] });
  assert.equal(listing.ikeSas.get(7)?.children.size, 1_600);
  assert.deepEqual([...listing.inDoubt], [7]);
  assert.equal(listing.isComplete, false);
});

test('is not complete when an IKE_SA is missing that no listing has', async () => {
  await using stack = new AsyncDisposableStack();
  const path = stack.use(new TempDir()).file('vici');
  const commands = { stats: () => ({ reply: fakeStats(2) }) };
  const fake = stack.use(await FakeCharon.listen(path, { commands }));
  fake.sas = [ikeSa(1, [1])];
  const client = stack.use(new ViciClient({ uri: `unix://${path}` }));
  const listing = await client.listSasComplete();
  assert.deepEqual([listing.isComplete, listing.ikeSas.size, listing.total], [false, 1, 2]);
});
