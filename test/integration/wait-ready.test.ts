import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  IKE_NAME,
  Lab,
  mergeSettings,
  startScene,
  statusOf,
  tunnelEnd,
  tunnelSettings,
} from '../support/index.ts';

test('a shunt that the dataplane cannot hold keeps nobody waiting: tunnels can be set up', async () => {
  await using lab = await Lab.create();
  const { ours, peer, gateway } = await startScene(lab, { peer: 'lagopus' });
  await gateway.killAgent();
  const shunt = {
    mode: 'pass',
    local_ts: '198.19.1.0/24',
    remote_ts: '198.19.3.0/24',
    // No TUN device is for it.
    mark_in: 5,
    mark_out: 5,
    start_action: 'trap',
  };
  const tunnel = { left: tunnelEnd(ours.site), right: tunnelEnd(peer.site) };
  const connections = { [IKE_NAME]: { children: { shunt } } };
  await ours.swanctl.load(mergeSettings(tunnelSettings(tunnel, 'left'), { connections }));
  await gateway.restartAgent();
  const { repairs } = await statusOf(gateway);
  assert.match(repairs[0]?.reason ?? '', /MARK/);
});
