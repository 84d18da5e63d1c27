import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSameSas,
  CHILD_NAME,
  IKE_NAME,
  ikeSas,
  Lab,
  loadSceneTunnel,
  type Scene,
  type SceneTunnel,
  type Settings,
  startScene,
} from '../support/index.ts';

type Case = { readonly what: string; readonly tunnel: SceneTunnel; readonly reason: RegExp };

/** A setting of our end's CHILD_SA. */
const own = (child: Settings): SceneTunnel => ({ ours: { child } });

/** What charon and a Linux kernel agree on and the embedded dataplane does not do. */
const CASES: readonly Case[] = [
  { what: 'Camellia', tunnel: { esp: 'camellia128-sha256' }, reason: /CAMELLIA_CBC/ },
  { what: 'HMAC-MD5', tunnel: { esp: 'aes128-md5' }, reason: /HMAC_MD5_96/ },
  { what: 'a mark', tunnel: own({ mark_in: 5, mark_out: 5 }), reason: /MARK/ },
  { what: 'an interface id', tunnel: own({ if_id_in: 5, if_id_out: 5 }), reason: /IF_ID/ },
];

async function assertRefused({ ours, peer }: Scene, reason: RegExp): Promise<void> {
  const before = (await ours.charonLog()).length;
  await assert.rejects(ours.swanctl.initiate(CHILD_NAME), /initiate failed/);
  await assertSameSas(ours, peer, { count: 0 });
  assert.equal((await ikeSas(ours)).length, 1);
  assert.deepEqual(await ikeSas(peer), await ikeSas(ours));
  const refusals = (await ours.charonLog()).slice(before).match(/installing \w+ SA .* failed: .*/g) ?? [];
  assert.notEqual(refusals.length, 0);
  for (const refusal of refusals) assert.match(refusal, reason);
}

test('what the dataplane cannot do is refused with its reason, and the IKE_SA stays', async (t) => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'kernel' });
  for (const { what, tunnel, reason } of CASES) {
    await t.test(what, async () => {
      await loadSceneTunnel(scene, tunnel);
      await assertRefused(scene, reason);
      await scene.ours.swanctl.terminate({ ike: IKE_NAME });
    });
  }
});
