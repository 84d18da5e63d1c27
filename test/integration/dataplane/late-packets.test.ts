import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Direction } from '../../../src/proto/index.ts';
import { type ManualEnd, ManualTunnel } from '../../dataplane/manual-tunnel.ts';
import { deleteSa } from '../../dataplane/samples.ts';
import { Lab, PacketFlow } from '../../support/index.ts';

/** More than one slice of packets, less than a socket holds. */
const PACKETS = 200;

function endOf({ site }: ManualEnd): { namespace: typeof site.namespace; address: string } {
  return { namespace: site.namespace, address: site.inner };
}

for (const isUdp of [false, true]) {
  test(`what came before an inbound SA was deleted is delivered: ${isUdp ? 'in UDP' : 'raw'}`, async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, { isUdp });
    const { left, right } = tunnel;
    const inbound = (await right.client.sas()).find(
      ({ sa }) => sa?.id?.direction === Direction.DIRECTION_INBOUND,
    );
    assert(inbound?.sa?.id !== undefined);
    const { process } = right.dataplane;
    process.signal('SIGSTOP');
    await using flow = await PacketFlow.start({
      ...{ from: endOf(left), to: endOf(right), dir: lab.dir },
      ...{ packetsPerSecond: 10_000, count: PACKETS },
    });
    // All of them wait in its socket; then comes the deletion.
    await sleep(500);
    const deleted = right.client.must(deleteSa(inbound.sa.id));
    await sleep(200);
    process.signal('SIGCONT');
    await deleted;
    const { received, sent } = await flow.finish();
    assert.deepEqual([sent, received], [PACKETS, PACKETS]);
  });
}
