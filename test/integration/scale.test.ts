import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScaleRig } from '../support/index.ts';

const SAS = 10_000;

test('10,000 SAs of charon and an empty dataplane converge', { timeout: 900_000 }, async () => {
  await using rig = await ScaleRig.create(SAS);
  await rig.startAgent();
  await rig.inSync();
  await rig.assertEqual();
  // The dataplane of before may have used every key there is: all of them were replaced.
  assert.equal(rig.gateway.rekeyed, SAS / 2);
});

test('10,000 SAs that are in place stay as they are', { timeout: 300_000 }, async () => {
  await using rig = await ScaleRig.create(SAS);
  await rig.fillDataplane();
  await rig.startAgent();
  await rig.inSync();
  await rig.assertEqual();
  assert.equal((await rig.status()).totals.operations, 0);
});
