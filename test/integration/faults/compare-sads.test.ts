import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Direction } from '../../../src/proto/index.ts';
import { ContractClient } from '../../dataplane/contract-client.ts';
import { addSa, sampleSa } from '../../dataplane/samples.ts';
import { establish, type Gateway, Lab, startGatewayPair } from '../../support/index.ts';
import { compareSads } from './compare-sads.ts';

/** Both SAs of the only CHILD_SA, as the comparison names them. */
async function sasOfCharon({ charon, site }: Gateway): Promise<readonly string[]> {
  const [sa] = await charon.swanctl.childSas();
  assert(sa !== undefined);
  const hex = (spi: number): string => spi.toString(16).padStart(8, '0');
  return [`in ${hex(sa.spiIn)} @${site.outer}`, `out ${hex(sa.spiOut)} @198.18.0.2`];
}

test('the independent comparison names what only the dataplane has, and what only charon has', async () => {
  await using lab = await Lab.create();
  const pair = await startGatewayPair(lab);
  const { gateway } = pair;
  await establish(pair);
  const same = { children: 1, passing: 0, held: 2, missing: [], unexpected: [] };
  assert.deepEqual(await compareSads(gateway), same);

  using stranger = new ContractClient(gateway.dataplane.target, 'stranger');
  await stranger.acquire();
  const foreign = { direction: Direction.DIRECTION_OUTBOUND, spi: 0xc00 };
  await stranger.must(addSa(sampleSa({ ...foreign, source: '198.18.0.1', destination: '198.18.0.9' })));
  const unexpected = ['out 00000c00 @198.18.0.9'];
  assert.deepEqual(await compareSads(gateway), { ...same, held: 3, unexpected });

  await gateway.killAgent();
  await gateway.killDataplane();
  await gateway.start('dataplane');
  assert.deepEqual(await compareSads(gateway), { ...same, held: 0, missing: await sasOfCharon(gateway) });
});
