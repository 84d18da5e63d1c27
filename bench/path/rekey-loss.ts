import { setTimeout as sleep } from 'node:timers/promises';
import { CHILD_NAME, eventually, Lab, PacketFlow, type Swanctl } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { interleave } from '../support/interleave.ts';
import { makeRow, type Row } from '../support/row.ts';
import { PEER_NAME, startLagopusGateway, startLibipsecGateway } from './gateway.ts';
import { connect, type Pair, startPair } from './pair.ts';
import { socketDrops } from './socket-drops.ts';

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
  const row = (name: string, figure: (loss: RekeyLoss) => number, aim?: string): Row =>
    makeRow({
      name: `lost per rekey at ${PACKETS_PER_SECOND} packets/s each way${name}`,
      unit: 'packets',
      aim,
      values: measured.a.map(figure),
      peer: { name: PEER_NAME, values: measured.b.map(figure) },
    });
  return [
    row('', ({ lost }) => lost, '0'),
    row(', at full sockets of stock charons', ({ lostAtSockets }) => lostAtSockets),
  ];
}

/** The same of the product alone, as one row. */
export async function lostPerRekeyRow({ isQuick, progress }: BenchContext): Promise<Row> {
  await using lab = await Lab.create();
  const pair = await startPair(lab, startLagopusGateway, startLagopusGateway);
  await connect(pair);
  const values: number[] = [];
  for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
    progress(`packets lost per rekey, round ${round + 1}`);
    values.push((await measureRekeyLoss(pair, isQuick ? 2 : 6)).lost);
  }
  return makeRow({ name: 'rekey-loss', unit: 'packets per rekey', aim: '0', values });
}

/** Both directions together, per rekey. */
export type RekeyLoss = {
  readonly lost: number;
  /** Of these, by a kernel-libipsec that was too slow for its socket. */
  readonly lostAtSockets: number;
};

export async function measureRekeyLoss({ left, right }: Pair, rekeys: number): Promise<RekeyLoss> {
  const flow = { dir: left.site.dir, packetsPerSecond: PACKETS_PER_SECOND };
  const dropsOfBoth = async (): Promise<number> =>
    (await socketDrops(left.namespace)) + (await socketDrops(right.namespace));
  const dropsBefore = await dropsOfBoth();
  await using there = await PacketFlow.start({ from: left, to: right, ...flow });
  await using back = await PacketFlow.start({ from: right, to: left, ...flow });
  for (let rekey = 0; rekey < rekeys; rekey += 1) {
    await sleep(PAUSE_MS);
    await forceRekey((rekey % 2 === 0 ? left : right).charon.swanctl);
  }
  await sleep(PAUSE_MS);
  const reports = await Promise.all([there.finish(), back.finish()]);
  const lost = reports.reduce((sum, report) => sum + report.lost, 0);
  const lostAtSockets = (await dropsOfBoth()) - dropsBefore;
  return { lost: lost / rekeys, lostAtSockets: lostAtSockets / rekeys };
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
