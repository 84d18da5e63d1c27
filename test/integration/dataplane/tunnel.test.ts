import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualTunnel } from '../../dataplane/manual-tunnel.ts';
import { suites } from '../../dataplane/samples.ts';
import { Lab, PacketFlow } from '../../support/index.ts';

describe('two dataplanes with SAs installed by hand', () => {
  for (const suite of suites) {
    for (const isUdp of [false, true]) {
      it(`carry numbered packets both ways: ${suite.name} in ${isUdp ? 'UDP' : 'IP'}`, async () => {
        await using lab = await Lab.create();
        using tunnel = await ManualTunnel.start(lab, { suite, isUdp });
        await tunnel.ping();

        const left = { namespace: tunnel.left.site.namespace, address: tunnel.left.site.inner };
        const right = { namespace: tunnel.right.site.namespace, address: tunnel.right.site.inner };
        const common = { dir: lab.dir, packetsPerSecond: 2_000, count: 1_000 };
        await using there = await PacketFlow.start({ ...common, from: left, to: right, sizeBytes: 1_000 });
        await using back = await PacketFlow.start({ ...common, from: right, to: left, stream: 2 });
        for (const report of [await there.finish(), await back.finish()]) {
          assert.deepEqual(
            {
              sent: report.sent,
              lost: report.lost,
              duplicates: report.duplicates,
              reordered: report.reordered,
            },
            { sent: 1_000, lost: 0, duplicates: 0, reordered: 0 },
          );
        }
        for (const end of [tunnel.left, tunnel.right]) {
          for (const { counters } of await end.client.sas()) {
            assert.equal(counters?.packets, 1_003n);
            assert.equal(counters?.integrityFailures, 0n);
          }
        }
      });
    }
  }
});
