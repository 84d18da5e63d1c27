import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { sampleSa } from '../support/sample-sas.ts';
import { EMPTY, INSTANCE, SyncLab } from '../support/sync-lab.ts';

const isWiped = (sa: ReturnType<typeof sampleSa>): boolean => sa.encryption?.key.isWiped ?? false;

test('wipes the keys of an SA that leaves desired, and no others', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const [deleted, flushed, replaced] = [0x1001, 0x1002, 0x1003].map((spi) =>
    sampleSa({ direction: 'inbound', spi }),
  );
  assert.ok(deleted !== undefined && flushed !== undefined && replaced !== undefined);
  await agent.add(deleted, flushed);
  agent.engine.change({ kind: 'delete-sa', id: deleted.id });
  await agent.idle();
  assert.deepEqual([isWiped(deleted), isWiped(flushed)], [true, false]);
  agent.engine.change({ kind: 'flush-sas' });
  await agent.idle();
  assert.ok(isWiped(flushed));
  await agent.add(replaced);
  await agent.ready(EMPTY);
  assert.ok(isWiped(replaced));
});

test('keeps the keys of an SA that moves', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const sa = sampleSa({ direction: 'outbound', spi: 0x1001 });
  await agent.add(sa);
  const move = {
    source: sa.source,
    destination: '198.18.0.9',
    udpEncapsulation: undefined,
    reqid: undefined,
  };
  await agent.engine.handle({ kind: 'update-sa', id: sa.id, move });
  assert.ok(!isWiped(sa));
  assert.deepEqual(await agent.differences(), []);
});

test('a snapshot that arrives while an add is in flight voids it and wipes its keys afterwards', async () => {
  await using lab = await SyncLab.start();
  lab.dataplane.latencyMs = 20;
  const agent = await lab.agent();
  await agent.ready();
  const sa = sampleSa({ direction: 'inbound', spi: 0x1001 });
  const answer = agent.engine.handle({ kind: 'add-sa', sa });
  agent.engine.replaceDesired(EMPTY, INSTANCE);
  assert.ok(!isWiped(sa));
  assert.equal((await answer).kind, 'try-again');
  await agent.idle();
  assert.ok(isWiped(sa));
  await agent.until('the leftover is gone', () => lab.dataplane.sas.length === 0);
});

test('wipes everything when it stops', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  const sa = sampleSa({ direction: 'inbound', spi: 0x1001 });
  await agent.ready({ sas: [sa], policyUsers: [] });
  await agent[Symbol.asyncDispose]();
  assert.ok(isWiped(sa));
});

test('shows no key in what it prints', async () => {
  await using lab = await SyncLab.start();
  const agent = await lab.agent();
  await agent.ready();
  const sa = sampleSa({ direction: 'inbound', spi: 0x1001, keyByte: 0xab });
  await agent.add(sa);
  const printed = [agent.engine.desired(), agent.engine.status(), await agent.engine.diff()]
    .map(
      (value) =>
        `${inspect(value, { depth: 9, showHidden: true })} ${JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`,
    )
    .join(' ');
  assert.doesNotMatch(printed, /(ab){4}|171, ?171/i);
});

test('the fingerprint is the one of the contract', async () => {
  const { fingerprinter } = await import('../../src/sync/key-fingerprint.ts');
  const nonce = Buffer.alloc(32, 7);
  const sa = sampleSa({ direction: 'inbound', spi: 0x1001, keyByte: 1 });
  const data = Buffer.concat([Buffer.from([0, 20]), Buffer.alloc(20, 1), Buffer.from([0, 0])]);
  assert.equal(fingerprinter(nonce)(sa), createHmac('sha256', nonce).update(data).digest('hex'));
});
