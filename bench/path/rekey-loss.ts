import { setTimeout as sleep } from 'node:timers/promises';
import { CHILD_NAME, eventually, Lab, PacketFlow, type Swanctl } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { interleave } from '../support/interleave.ts';
import { makeRow, type Row } from '../support/row.ts';
import { PEER_NAME, startLagopusGateway, startLibipsecGateway } from './gateway.ts';
import { connect, type Pair, startPair } from './pair.ts';

const PACKETS_PER_SECOND = 10_000;
/** After each rekey, so that its stragglers are counted before the next one. */
const PAUSE_MS = 500;

/** Numbered packets both ways while each side rekeys in turn; the other end is stock. */
export async function rekeyLossRows({ isQuick, progress }: BenchContext): Promise<readonly Row[]> {
  const rounds = isQuick ? 1 : 3;
  const rekeys = isQuick ? 2 : 6;
  await using ownLab = await Lab.create();
  await using peerLab = await Lab.create();
  const own = await startPair(ownLab, startLagopusGateway, startLibipsecGateway);
  const peer = await startPair(peerLab, startLibipsecGateway, startLibipsecGateway);
  await connect(own);
  await connect(peer);
  const measured = await interleave(
    rounds,
    (round) => {
      progress(`packets lost per rekey, round ${round + 1} of ${rounds}`);
      return measureRekeyLoss(own, rekeys);
    },
    () => measureRekeyLoss(peer, rekeys),
  );
  return [
    makeRow({
      name: `lost per rekey at ${PACKETS_PER_SECOND} packets/s each way`,
      unit: 'packets',
      aim: '0',
      values: measured.a,
      peer: { name: PEER_NAME, values: measured.b },
    }),
  ];
}

/** Packets lost in both directions together, per rekey. */
export async function measureRekeyLoss({ left, right }: Pair, rekeys: number): Promise<number> {
  const flow = { dir: left.site.dir, packetsPerSecond: PACKETS_PER_SECOND };
  await using there = await PacketFlow.start({ from: left, to: right, ...flow });
  await using back = await PacketFlow.start({ from: right, to: left, ...flow });
  for (let rekey = 0; rekey < rekeys; rekey += 1) {
    await sleep(PAUSE_MS);
    await forceRekey((rekey % 2 === 0 ? left : right).charon.swanctl);
  }
  await sleep(PAUSE_MS);
  const reports = await Promise.all([there.finish(), back.finish()]);
  return reports.reduce((lost, report) => lost + report.lost, 0) / rekeys;
}

/** Returns once the new CHILD_SA has taken the old one's place. */
async function forceRekey(swanctl: Swanctl): Promise<void> {
  const installed = async (): Promise<readonly number[]> =>
    (await swanctl.childSas()).filter(({ state }) => state === 'INSTALLED').map(({ spiIn }) => spiIn);
  const [before] = await installed();
  await swanctl.rekey({ child: CHILD_NAME });
  await eventually(
    'the CHILD_SA is rekeyed',
    async () => {
      const spis = await installed();
      return spis.length === 1 && spis[0] !== before;
    },
    { intervalMs: 100 },
  );
}
