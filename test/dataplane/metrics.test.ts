import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dropReasons } from '../../src/dataplane/drop-reasons.ts';
import { DataplaneMetrics } from '../../src/dataplane/metrics.ts';
import { engineLab } from '../native/engine-lab.ts';

it('shows every counter of the engine once, drops with the name of xfrm_stat', async () => {
  const counters = Object.keys(engineLab().engine.statistics());
  const statistics = Object.fromEntries(counters.map((name, index) => [name, BigInt(index + 1)]));
  const metrics = new DataplaneMetrics({
    statistics: () => statistics,
    sizes: () => ({ sas: 4, policies: 5 }),
  });
  for (let reading = 0; reading < 2; reading += 1) {
    const lines = (await metrics.render()).split('\n');
    for (const [name, value] of Object.entries(statistics)) {
      const xfrm = dropReasons.find((reason) => reason.name === name)?.xfrm;
      const sample =
        xfrm === undefined
          ? `lagopus_dataplane_packets_total{kind="${name}"} ${value}`
          : `lagopus_dataplane_drops_total{reason="${name}",xfrm="${xfrm}"} ${value}`;
      assert.equal(lines.filter((line) => line === sample).length, 1, sample);
    }
    assert.ok(lines.includes('lagopus_dataplane_entries{of="policies"} 5'));
  }
});
