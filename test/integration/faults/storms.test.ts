import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type GatewayPart, Lab, SocketRelay, statusOf } from '../../support/index.ts';
import { FaultRig } from './fault-rig.ts';
import { childNamesOf, ikeName } from './many-tunnels.ts';
import { freeze, killAndRestart, throughStorm } from './through-storm.ts';
import { WireCapture } from './wire-capture.ts';

const GRID = { ikeSas: 10, childrenEach: 50 };
/** Not rekeyed by the storm: what goes on in it is DPD. */
const QUIET = ikeName(GRID.ikeSas - 1);
const QUIET_CHILDREN = childNamesOf(GRID.ikeSas - 1, GRID);
/** So that VICI is asked for something while it is gone. */
const AUDIT_INTERVAL_MS = 3_000;
const FROZEN_MS = 5_000;
const WITHOUT_VICI_MS = 10_000;

const KILLS: readonly (readonly GatewayPart[])[] = [
  ['dataplane'],
  ['charon'],
  ['agent', 'dataplane'],
  ['agent', 'charon'],
  ['dataplane', 'charon'],
];

const comparisonSchema = z.object({ msg: z.literal('compared with the dataplane'), added: z.number() });

/** How many SAs each comparison that found a difference had to install, since the log was so long. */
async function addedByComparisons({ pair }: FaultRig, from: number): Promise<readonly number[]> {
  const lines = (await pair.gateway.agent.process.log()).slice(from).split('\n');
  return lines.flatMap((line) => {
    if (!line.startsWith('{')) return [];
    const { success, data } = comparisonSchema.safeParse(JSON.parse(line));
    return success ? [data.added] : [];
  });
}

/** The other end's liveness checks on the quiet IKE_SA are answered while something is frozen, and nobody gives up. */
async function assertLivenessDuring({ pair }: FaultRig, act: () => Promise<void>): Promise<void> {
  const from = { ours: (await pair.ours.charonLog()).length, peer: (await pair.peer.charonLog()).length };
  await act();
  const log = (await pair.peer.charonLog()).slice(from.peer);
  const count = (what: string): number =>
    log.match(new RegExp(`<${QUIET}\\|\\d+> ${what}`, 'g'))?.length ?? 0;
  assert(count('sending DPD request') >= 2, 'DPD requests');
  assert(count('parsed INFORMATIONAL response') >= count('sending DPD request') - 1, 'DPD responses');
  for (const text of [log, (await pair.ours.charonLog()).slice(from.ours)]) {
    assert.doesNotMatch(text, /giving up after|peer not responding/);
  }
}

test('500 CHILD_SAs in a rekey storm', { timeout: 900_000 }, async (t) => {
  await using lab = await Lab.create();
  const vici = lab.use(
    await SocketRelay.listen(join(lab.dir, 'relay.vici'), join(lab.dir, 'left', 'charon.vici')),
  );
  const rig = await FaultRig.start(lab, {
    grid: GRID,
    gateway: { agentOverrides: { vici: { uri: `unix://${vici.path}` }, auditIntervalMs: AUDIT_INTERVAL_MS } },
    peerConnection: { dpd_delay: '1s' },
  });
  const begunMs = performance.now();
  const upSeconds = (((await rig.converged()) - begunMs) / 1_000).toFixed(1);
  t.diagnostic(`500 CHILD_SAs up ${upSeconds} s after they were loaded`);
  await using wire = await WireCapture.start(rig.pair.ours.site);

  await t.test('agent killed: no packet lost, nothing installed again', async (t) => {
    const { length } = await rig.pair.gateway.agent.process.log();
    const { lost } = await throughStorm(t, rig, () => killAndRestart(rig, ['agent']));
    assert.equal(lost, 0);
    const added = await addedByComparisons(rig, length);
    assert(
      added.every((count) => count === 0),
      JSON.stringify(added),
    );
  });

  for (const parts of KILLS) {
    await t.test(`${parts.join(' and ')} killed`, async (t) => {
      await throughStorm(t, rig, () => killAndRestart(rig, parts));
    });
  }

  await t.test('dataplane frozen: liveness of other IKE_SAs is not concerned', async (t) => {
    const fault = () => assertLivenessDuring(rig, () => freeze(rig, 'dataplane', FROZEN_MS));
    await throughStorm(t, rig, fault, QUIET_CHILDREN);
  });

  await t.test('agent frozen: no packet lost, liveness of other IKE_SAs is not concerned', async (t) => {
    const fault = () => assertLivenessDuring(rig, () => freeze(rig, 'agent', FROZEN_MS));
    const { lost } = await throughStorm(t, rig, fault, QUIET_CHILDREN);
    assert.equal(lost, 0);
  });

  await t.test('VICI gone for a while: no packet lost', async (t) => {
    const { lost } = await throughStorm(t, rig, async () => {
      await vici.cut();
      await sleep(WITHOUT_VICI_MS);
      const { vici: link, isReady } = await statusOf(rig.pair.gateway);
      assert.deepEqual([link.state, isReady], ['connecting', true]);
      await vici.restore();
    });
    assert.equal(lost, 0);
  });

  await t.test('on the wire: no sequence number twice, nothing in clear', async (t) => {
    const { espPackets, streams, repeated, clear } = await wire.finish();
    t.diagnostic(`${espPackets} ESP packets of ${streams} SAs`);
    assert(espPackets > 10_000 && streams > 20);
    assert.deepEqual({ repeated, clear }, { repeated: [], clear: [] });
  });
});
