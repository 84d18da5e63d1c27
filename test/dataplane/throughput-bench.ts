/**
 * TCP throughput of one tunnel between two dataplanes, without IKE:
 * node test/dataplane/throughput-bench.ts [seconds]
 */
import { Lab } from '../support/index.ts';
import { ManualTunnel } from './manual-tunnel.ts';
import { suites } from './samples.ts';
import { measureThroughput } from './throughput.ts';

const seconds = Number(process.argv[2] ?? 3);
for (const suite of suites) {
  for (const isUdp of [false, true]) {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, { suite, isUdp });
    const { left, right } = tunnel;
    const { bitsPerSecond, retransmits } = await measureThroughput({
      from: { namespace: left.site.namespace, address: left.site.inner },
      to: { namespace: right.site.namespace, address: right.site.inner },
      seconds,
      dir: lab.dir,
    });
    const rate = `${(bitsPerSecond / 1e6).toFixed(0)} Mbit/s`;
    process.stdout.write(
      `${suite.name.padEnd(32)}${isUdp ? 'UDP' : 'IP '} ${rate.padStart(12)}, ${retransmits} retransmits\n`,
    );
  }
}
