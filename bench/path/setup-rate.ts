import { Lab } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { cpuSeconds } from '../support/cpu-time.ts';
import { interleave } from '../support/interleave.ts';
import { makeRow, type Row } from '../support/row.ts';
import { PEER_NAME, type StartGateway, startLagopusGateway, startLibipsecGateway } from './gateway.ts';
import { SetupLoad, type Setups } from './setup-load.ts';

const TUNNELS = 100;

export type SetupRates = {
  /** CHILD_SAs per second, with an IKE_SA each. */
  readonly withIke: number;
  /** CHILD_SAs per second, in IKE_SAs that are there. */
  readonly additional: number;
  /** Of both kinds together. */
  readonly failed: number;
  /** Of the initiator's processes, mean of both kinds. */
  readonly cpuMsPerSetup: number;
};

/** Setups per second, all initiated at once; only the initiator's backend differs. */
export async function setupRateRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  const rounds = isQuick ? 3 : 15;
  await using ownLab = await Lab.create();
  await using peerLab = await Lab.create();
  await using own = await startLoad(ownLab, startLagopusGateway);
  await using peer = await startLoad(peerLab, startLibipsecGateway);
  // The first round fills caches and starts threads.
  await measureSetupRates(own);
  await measureSetupRates(peer);
  progress(`CHILD_SA setups, ${rounds} rounds`);
  const measured = await interleave(
    rounds,
    () => measureSetupRates(own),
    () => measureSetupRates(peer),
  );
  const row = (name: string, unit: string, figure: (rates: SetupRates) => number, aim?: string): Row =>
    makeRow({
      name: `CHILD_SA setups: ${name}`,
      unit,
      aim,
      values: measured.a.map(figure),
      peer: { name: PEER_NAME, values: measured.b.map(figure) },
    });
  return [
    row('with an IKE_SA each', '1/s', ({ withIke }) => withIke, 'ratio >= 0.9'),
    row('in IKE_SAs that are there', '1/s', ({ additional }) => additional),
    row('failed', `of ${2 * TUNNELS}`, ({ failed }) => failed, '0'),
    row("CPU of the initiator's processes", 'ms/setup', ({ cpuMsPerSetup }) => cpuMsPerSetup),
  ];
}

function startLoad(lab: Lab, initiator: StartGateway): Promise<SetupLoad> {
  return SetupLoad.start(lab, { initiator, responder: startLibipsecGateway }, TUNNELS);
}

export async function measureSetupRates(load: SetupLoad): Promise<SetupRates> {
  const { pids } = load.initiator;
  const cpuBefore = await cpuSeconds(pids);
  const first = await load.setUpAll('first');
  const second = await load.setUpAll('second');
  const cpuMs = ((await cpuSeconds(pids)) - cpuBefore) * 1_000;
  await load.tearDownAll();
  return {
    withIke: perSecond(first),
    additional: perSecond(second),
    failed: first.failed + second.failed,
    cpuMsPerSetup: cpuMs / (2 * TUNNELS),
  };
}

function perSecond({ up, elapsedMs }: Setups): number {
  return up === 0 ? 0 : (up * 1_000) / elapsedMs;
}
