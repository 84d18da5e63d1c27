import { test } from 'node:test';
import { type GatewayPart, Lab } from '../../support/index.ts';
import { FaultRig } from './fault-rig.ts';

const ORDERS: readonly (readonly GatewayPart[])[] = [
  ['agent', 'charon', 'dataplane'],
  ['agent', 'dataplane', 'charon'],
  ['charon', 'agent', 'dataplane'],
  ['charon', 'dataplane', 'agent'],
  ['dataplane', 'agent', 'charon'],
  ['dataplane', 'charon', 'agent'],
];

test('everything is killed and started again, each time in another order', {
  timeout: 300_000,
}, async (t) => {
  await using lab = await Lab.create();
  const rig = await FaultRig.start(lab, { grid: { ikeSas: 2, childrenEach: 5 } });
  await rig.converged();
  const { gateway } = rig.pair;
  for (const order of ORDERS) {
    await t.test(order.join(', '), async (t) => {
      await using flows = await rig.startFlows();
      await flows.flow();
      await Promise.all(order.map((part) => gateway.processOf(part).kill()));
      const killedMs = performance.now();
      for (const part of order) await gateway.start(part);
      await gateway.agent.waitReady();
      await rig.load(gateway);
      const seconds = (((await rig.converged()) - killedMs) / 1_000).toFixed(1);
      await flows.flow();
      const { lost, sent } = await flows.finish();
      t.diagnostic(`converged ${seconds} s after the kill; ${lost} of ${sent} packets lost`);
    });
  }
});
