import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayPart } from '../../support/index.ts';
import type { FaultRig } from './fault-rig.ts';
import type { FlowTotals } from './flows.ts';
import { RekeyStorm } from './rekey-storm.ts';

/** Rekeys asked of each end. */
const REKEYS_PER_SECOND = 50;
/** The storm goes on for so long before the fault, and after its end. */
const STORM_MS = 2_000;
/** systemd's RestartSec. */
const RESTART_MS = 1_000;

/**
 * A fault in the middle of a rekey storm with packets flowing; tells how long it took until everything was
 * as charon has it, and what was lost.
 *
 * @param spared the names of CHILD_SAs that the storm leaves alone
 */
export async function throughStorm(
  t: TestContext,
  rig: FaultRig,
  fault: () => Promise<void>,
  spared: ReadonlySet<string> = new Set(),
): Promise<FlowTotals> {
  await using flows = await rig.startFlows();
  await flows.flow();
  let asked: number;
  let begunMs: number;
  let calmMs: number;
  {
    await using storm = new RekeyStorm(rig.viciUris, REKEYS_PER_SECOND, spared);
    await sleep(STORM_MS);
    begunMs = performance.now();
    await fault();
    await sleep(STORM_MS);
    calmMs = performance.now();
    asked = storm.asked;
  }
  const convergedMs = await rig.converged();
  await flows.mark();
  await flows.flow();
  const totals = await flows.finish();
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
  t.diagnostic(
    `converged ${seconds(convergedMs - begunMs)} s after the fault began, ${seconds(convergedMs - calmMs)} s ` +
      `after the storm of ${asked} rekeys ended; ${totals.lost} of ${totals.sent} packets lost in ` +
      `${totals.affected} flows, longest silence ${seconds(totals.longestSilenceMs)} s`,
  );
  assert.deepEqual(
    { lostAfter: totals.lostAfter, duplicates: totals.duplicates },
    { lostAfter: 0, duplicates: 0 },
  );
  return totals;
}

/** Kills parts of our gateway at once, and starts them again as their units would. */
export async function killAndRestart(rig: FaultRig, parts: readonly GatewayPart[]): Promise<void> {
  const { gateway } = rig.pair;
  await Promise.all(parts.map((part) => gateway.processOf(part).kill()));
  await sleep(RESTART_MS);
  await Promise.all(parts.map((part) => gateway.start(part)));
  if (!parts.includes('charon')) return;
  await gateway.agent.waitReady(30_000);
  await rig.load(gateway);
}

/** Stops a part of our gateway for a while. */
export async function freeze({ pair }: FaultRig, part: GatewayPart, durationMs: number): Promise<void> {
  const process = pair.gateway.processOf(part);
  process.signal('SIGSTOP');
  await sleep(durationMs);
  process.signal('SIGCONT');
}
