import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import {
  assertSameSas,
  CHILD_NAME,
  diffOf,
  establish,
  eventually,
  keyForms,
  Lab,
  parseXfrmState,
  rekeyChild,
  type Scene,
  startScene,
} from '../support/index.ts';

/** RFC 4106: the last four octets of AES-GCM's keying material are salt. */
const SALT_BYTES = 4;

/** A text or dump that must hold no key, and what it is called. */
type Output = { readonly name: string; readonly bytes: Buffer };

/** Every key that the peer's kernel has now. */
async function keysOfKernel({ guest }: Scene): Promise<readonly string[]> {
  assert(guest !== undefined);
  const sas = parseXfrmState(await guest.xfrmState());
  return sas.flatMap(({ encryptionKey, integrityKey }) => {
    const isAead = integrityKey === '';
    return isAead ? [encryptionKey.slice(0, -2 * SALT_BYTES)] : [encryptionKey, integrityKey];
  });
}

function filesIn(dir: string): readonly Output[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { name: relative(dir, path), bytes: readFileSync(path) };
    });
}

/** Sees what the command line prints, and charon's own client. */
async function printed({ gateway }: Scene): Promise<readonly Output[]> {
  const spis = (await gateway.charon.swanctl.childSas()).flatMap(({ spiIn, spiOut }) => [spiIn, spiOut]);
  const questions: readonly (readonly ['status' | 'sad' | 'diff' | 'explain', ...(readonly string[])])[] = [
    ...([['status'], ['sad'], ['diff'], ['diff', '--plan']] as const),
    ...spis.slice(0, 2).map((spi) => ['explain', spi.toString(16)] as const),
  ];
  const agent = questions.flatMap((question) => [
    { name: question.join(' '), text: gateway.agent.show(...question) },
    { name: `${question.join(' ')} --json`, text: gateway.agent.show(...question, '--json') },
  ]);
  const charon = (['--list-sas', '--list-pols'] as const).map((verb) => ({
    name: verb,
    text: gateway.charon.swanctl.run([verb, '--raw']).then(({ stdout }) => stdout),
  }));
  return Promise.all(
    [...agent, ...charon].map(async ({ name, text }) => ({ name, bytes: Buffer.from(await text) })),
  );
}

/**
 * Charon's own code prints keys from level 4 on, so its groups are at 3; `knl`, the plugin's, is at 4.
 * Keys come from the peer's kernel, which logs none.
 */
test('no key is in any log or answer through rekeys, refusals, a restart and a lost dataplane', async () => {
  await using lab = await Lab.create();
  const drills = join(lab.dir, 'drills.yaml');
  const scene = await startScene(lab, {
    peer: 'kernel',
    ours: {
      logLevel: 'trace',
      logLevels: { default: 3, knl: 4 },
      dataplaneOverrides: { drillsFile: drills },
    },
  });
  const { ours, peer, gateway } = scene;
  const keys = new Set<string>();
  const outputs: Output[] = [];
  const collectKeys = async (): Promise<void> => {
    for (const key of await keysOfKernel(scene)) keys.add(key);
  };
  const look = async (): Promise<void> => {
    await collectKeys();
    outputs.push(...(await printed(scene)));
  };

  for (const esp of ['aes256-sha256', 'aes128gcm16']) {
    await establish(scene, { esp });
    await collectKeys();
    await rekeyChild(peer, ours);
    await look();
    await ours.swanctl.terminate({ child: CHILD_NAME });
    await assertSameSas(ours, peer, { count: 0 });
  }

  const refuse = [{ operation: 'add_sa', direction: 'outbound', code: 'invalid', count: 1 }];
  await writeFile(drills, stringify({ refuse }));
  await assert.rejects(ours.swanctl.initiate(CHILD_NAME));
  await ours.swanctl.initiate(CHILD_NAME);
  await gateway.killAgent();
  await gateway.restartAgent();
  await look();
  await gateway.killDataplane();
  await gateway.restartDataplane();
  await eventually('a rekey repairs what the dataplane lost', async () => {
    await collectKeys();
    return (await diffOf(gateway)).isInSync;
  });
  await assertSameSas(ours, peer, { count: 1 });
  await look();

  // Two SAs each time, with CBC two keys each: at first and after the rekey, and what followed.
  assert(keys.size >= 2 * (4 + 2), String(keys.size));
  const files = filesIn(ours.site.dir);
  for (const name of ['charon.log', 'agent.log', 'dataplane.log']) {
    assert(
      files.some((file) => file.name === name && file.bytes.length > 0),
      name,
    );
  }
  const forms = [...keys].flatMap((key) => keyForms(Buffer.from(key, 'hex')));
  const leaking = [...files, ...outputs].filter(({ bytes }) => forms.some((form) => bytes.includes(form)));
  assert.deepEqual(
    leaking.map(({ name }) => name),
    [],
  );
});
