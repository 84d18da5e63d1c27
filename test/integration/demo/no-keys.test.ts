import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { keyForms, TempDir } from '../../support/index.ts';
import { DemoRun } from './demo-run.ts';

/** A text or dump that must hold no key, and what it is called. */
type Output = { readonly name: string; readonly bytes: Buffer };

/** The keys of every CHILD_SA, out of the hex dumps in a log that charon wrote at level 4. */
function keysIn(log: string): readonly Buffer[] {
  const dumps = log.matchAll(
    /\[CHD\] (?:encryption|integrity) \w+ key => (\d+) bytes.*\n((?:.*\[CHD\] +\d+: .*\n)+)/g,
  );
  return [...dumps].map(([, lengthBytes, lines = '']) => {
    const hex = [...lines.matchAll(/\[CHD\] +\d+: ((?:[0-9A-F]{2} )+)/g)].map(([, digits = '']) => digits);
    const key = Buffer.from(hex.join('').replaceAll(' ', ''), 'hex');
    assert.equal(key.length, Number(lengthBytes));
    return key;
  });
}

/** AES-GCM's key without the salt behind it: whoever prints one prints this. */
function withoutSalt(key: Buffer): Buffer {
  return key.subarray(0, key.length - 4);
}

function filesIn(dir: string): readonly Output[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { name: relative(dir, path), bytes: readFileSync(path) };
    });
}

/** What the agent's control socket answers, as it comes. */
function askAgent(dir: string, page: string): Promise<Output> {
  const socketPath = join(dir, 'left', 'agent.sock');
  return new Promise((resolve, reject) => {
    get({ socketPath, path: `/${page}` }, (response) => {
      buffer(response).then((bytes) => resolve({ name: page, bytes }), reject);
    }).once('error', reject);
  });
}

/** The bytes of a listing as the dataplane puts them on its socket. */
async function listDataplane(dir: string, method: 'ListSas' | 'ListPolicies'): Promise<Output> {
  const client = new Client(`unix://${join(dir, 'left', 'dataplane.sock')}`, credentials.createInsecure());
  try {
    const identity = (bytes: Buffer): Buffer => bytes;
    const path = `/lagopus.ipsec.v1.IpsecService/${method}`;
    const chunks: Buffer[] = [];
    for await (const chunk of client.makeServerStreamRequest(path, identity, identity, Buffer.alloc(0)))
      chunks.push(chunk);
    return { name: method, bytes: Buffer.concat(chunks) };
  } finally {
    client.close();
  }
}

test('no key of the demo is in any log, file, listing or page, at the most verbose level', async () => {
  await using dir = new TempDir();
  const kept = dir.file('kept');
  await using demo = new DemoRun(dir.path, ['--verbose', '--keep', kept]);
  await demo.reach(/left receives on/);
  const answers = await Promise.all([
    ...(['status', 'sad', 'diff', 'ready'] as const).map((page) => askAgent(kept, page)),
    ...(['ListSas', 'ListPolicies'] as const).map((method) => listDataplane(kept, method)),
  ]);
  assert.equal(await demo.ended(), 0, demo.output);

  const peersLog = join('right', 'charon.log');
  const files = filesIn(kept);
  const keys = keysIn(files.find(({ name }) => name === peersLog)?.bytes.toString('latin1') ?? '');
  // Two directions, three times: at first, and after each rekey.
  assert.equal(new Set(keys.map((key) => key.toString('hex'))).size, 6);

  const outputs = [
    ...files.filter(({ name }) => name !== peersLog),
    ...answers,
    { name: 'what the demo prints', bytes: Buffer.from(demo.output) },
  ];
  for (const name of ['left/charon.log', 'left/agent.log', 'left/dataplane.log', 'sad', 'ListSas']) {
    assert.notEqual(outputs.find((output) => output.name === name)?.bytes.length ?? 0, 0, `${name} is empty`);
  }
  const forms = keys.flatMap((key) => keyForms(withoutSalt(key)));
  const isLeaking = ({ bytes }: Output): boolean => forms.some((form) => bytes.includes(form));
  assert.deepEqual(
    outputs.filter(isLeaking).map(({ name }) => name),
    [],
  );
  // The search does find what is there.
  assert.deepEqual(
    files.filter(isLeaking).map(({ name }) => name),
    [peersLog],
  );
});
