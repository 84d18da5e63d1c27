import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PluginMessage } from '../../../src/keyfeed/index.ts';
import { CHILD_NAME, countInMemory, eventually, findProcess } from '../../support/index.ts';
import { logged, Rig } from './rig.ts';

function keysOf(message: PluginMessage): Buffer[] {
  if (message.kind !== 'add-sa') return [];
  return [message.sa.encrKey, message.sa.integKey].flatMap((key) =>
    key === undefined ? [] : [key.reveal((bytes) => Buffer.from(bytes))],
  );
}

/** Every file under a directory, sockets left out. */
async function files(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** How a log could show bytes: as they are, in hex (with or without gaps), in base64. */
function spellings(key: Buffer): RegExp {
  const pairs = [...key].map((byte) => byte.toString(16).padStart(2, '0'));
  const base64 = key.toString('base64').replace(/=+$/, '').replaceAll(/[+/]/g, '\\$&');
  return new RegExp(`${pairs.slice(0, 12).join('[ :\\n]*')}|${base64}`, 'i');
}

test('no key is in anything charon writes, at the highest level of our own log group', async () => {
  await using rig = await Rig.start({
    logLevels: { default: 2, knl: 4, chd: 2, ike: 2 },
    tunnel: { esp: 'aes256-sha256' },
  });
  await rig.initiate();
  await rig.left.swanctl.rekey({ child: CHILD_NAME });
  await logged(rig.left, /outbound CHILD_SA net\{2\} established/);
  rig.agent.answers = () => ({ code: 'refused', reason: 'no more' });
  await rig.left.swanctl.rekey({ child: CHILD_NAME });
  await logged(rig.left, 'failed: no more');
  const keys = rig.agent.received.flatMap(keysOf);
  assert(keys.length >= 8);
  const found = [];
  for (const path of await files(rig.lab.dir)) {
    const bytes = await readFile(path);
    for (const key of keys) {
      if (bytes.includes(key) || spellings(key).test(bytes.toString('latin1'))) found.push(path);
    }
  }
  assert.deepEqual(found, []);
});

test("a key is in charon's memory once while its SA lives, and not afterwards", async () => {
  await using rig = await Rig.start({ tunnel: { esp: 'aes256-sha256' } });
  await rig.initiate();
  const keys = rig.agent.received.flatMap(keysOf);
  const charon = await findProcess(rig.sites.left.namespace, 'charon');
  const counts = (): number[] => keys.map((key) => countInMemory(charon, key));
  assert.deepEqual(counts(), [1, 1, 1, 1]);
  // nor does a snapshot leave copies behind
  await rig.killAgent();
  await (await rig.restartAgent()).message('snapshot-end');
  assert.deepEqual(counts(), [1, 1, 1, 1]);
  await rig.left.swanctl.terminate({ ike: 'gw' });
  await eventually('all of them are wiped', () => counts().every((count) => count === 0));
});
